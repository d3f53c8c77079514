//! `frontdesk batch …`, on batches of another program as they are kept.

use frontdesk::domain::batch::Rules;
use frontdesk::domain::hold::HoldReason;
use frontdesk::store::{LineEntry, LineRead, Part, PartEnd, PartPlace, PlacePart, Store};
use serde_json::{Value, json};

use crate::process::{Place, lines_of, wait};
use crate::terminal::Terminal;
use crate::wire::PATIENCE;

const ID: &str = "batch_e2e";

/// A batch of another program, which moves as a test says.
struct Ledger {
    place: Place,
    store: Store,
    part: Part,
}

impl Ledger {
    async fn new() -> Ledger {
        let place = Place::new();
        let store = Store::open(place.location(), true).unwrap();
        let given = PlacePart {
            project: "default".to_owned(),
            resource_id: ID.to_owned(),
            submission_id: None,
            workflow: Some("classification".to_owned()),
            made_at_ms: None,
            now_ms: 1_000,
        };
        let PartPlace::Part { part, .. } = store.place_part(given).await.unwrap() else { panic!("not placed") };
        Ledger { place, store, part: *part }
    }

    async fn enter(&self, lines: impl IntoIterator<Item = (Option<String>, LineRead)>) {
        let entry = |(at, (custom_id, read))| LineEntry { found: format!("output:{}", at + 1), custom_id, read };
        let entries: Vec<LineEntry> = lines.into_iter().enumerate().map(entry).collect();
        self.store.enter_lines(self.part.clone(), true, None, entries, 2_000).await.unwrap();
    }

    /// One line of each kind, and names that are meant to do harm.
    async fn enter_some_of_each(&self) {
        let named = |name: &str, read| (Some(name.to_owned()), read);
        let failed = |reason: &str| LineRead::Failed { reason: reason.to_owned() };
        self.enter([
            named("T-1", usable("T-1", None)),
            named("T-2", usable("T-2", Some(HoldReason::Sensitive))),
            named("T-3", failed("api_error_400")),
            named("=cmd|'/c calc'!A1", LineRead::Unknown { reason: "no_such_ticket" }),
            named("T-1", usable("T-1", None)),
            (None, LineRead::Unreadable { reason: "not_json" }),
            named("a,\"b\"\u{1b}[2J", failed("not_executed")),
        ])
        .await;
    }

    async fn finish(&self, status: &str, errors: &[(&str, Option<i64>)]) {
        let end = PartEnd {
            part: self.part.clone(),
            status: status.to_owned(),
            said: json!({"total": 7, "completed": 5, "failed": 2}),
            errors: errors.iter().map(|(code, line)| ((*code).to_owned(), *line)).collect(),
            rules: Rules { preview_over: 0, ..Rules::default() },
            error: None,
        };
        self.store.finish_part(end, 3_000).await.unwrap();
    }
}

fn usable(ticket: &str, held: Option<HoldReason>) -> LineRead {
    LineRead::Usable { ticket_id: ticket.to_owned(), raw: "{}".to_owned(), held, labels: Vec::new() }
}

fn items(list: &Value) -> &Vec<Value> {
    list["items"].as_array().unwrap()
}

#[test]
fn a_batch_is_written_down_from_a_list_or_from_filters() {
    let place = Place::new();
    place.run(&["migrate"]).succeeds();
    place.write("list", "T-1\n# not this one\n\nT-2 # and why\nT-1\n");
    let of_list = place.json(&["batch", "submit", "classification", "--tickets", "list", "--budget-tokens", "900"]);
    assert_eq!((&of_list["state"], &of_list["version"]), (&json!("building"), &json!(1)));
    let found = ["--status", "open", "--queue", "support", "--tag", "new", "--older-than", "12h", "--newer-than", "2d"];
    let of_filter =
        place.json(&[&["batch", "submit", "classification", "--unclassified", "--cap", "500"], &found[..]].concat());
    let wanted = |batch: &Value| -> Value {
        let id = batch["batch_id"].as_str().unwrap();
        let text: String =
            place.sql().query_row("SELECT wanted FROM batches WHERE id = ?1", [id], |row| row.get(0)).unwrap();
        serde_json::from_str(&text).unwrap()
    };
    assert_eq!(wanted(&of_list), json!({"select": {"tickets": ["T-1", "T-2"]}, "budget_tokens": 900}));
    let filter = json!({"status": "open", "queue": "support", "tag": "new", "older_than_ms": 43_200_000,
        "newer_than_ms": 172_800_000, "unclassified": true});
    assert_eq!(wanted(&of_filter), json!({"select": {"filter": filter}, "cap": 500}));
    let said = place.run(&["batch", "submit", "classification", "--status", "open"]).succeeds();
    assert!(said.out.starts_with("bat_") && said.out.contains("frontdesk batch show bat_"), "{said:?}");
    let listed = place.json(&["batch", "list", "--state", "building", "--limit", "2"]);
    assert_eq!(items(&listed).len(), 2);
    assert_eq!(items(&listed)[1], of_filter, "newest first");
    let rest = place.json(&["batch", "list", "--cursor", listed["next_cursor"].as_str().unwrap()]);
    assert_eq!(rest, json!({"items": [of_list], "next_cursor": null}));
    let shown = place.run(&["batch", "show", of_list["batch_id"].as_str().unwrap()]).succeeds();
    assert!(shown.out.contains("building") && shown.out.contains("\nnext "), "{shown:?}");
}

#[test]
fn a_batch_that_cannot_be_meant_is_refused_and_not_written_down() {
    let place = Place::new();
    place.run(&["migrate"]).succeeds();
    place.write("list", "T-1\nT 2\n");
    place.write("none", "# nobody\n");
    let submit = |args: &[&str]| place.run(&[&["batch", "submit", "classification"], args].concat());
    submit(&["--tickets", "list"]).fails(1, &["list, line 2", "\"T 2\""]);
    submit(&["--tickets", "none"]).fails(1, &["names no ticket"]);
    submit(&["--tickets", "nowhere"]).fails(1, &["nowhere cannot be read"]);
    submit(&["--status", "open", "--project", "nobodys"]).fails(1, &["nobodys"]);
    place.run(&["batch", "submit", "poetry", "--status", "open"]).fails(1, &["poetry", "classification"]);
    for wrong in [
        &[][..],
        &["--tickets", "list", "--status", "open"],
        &["--status", "open", "--cap", "0"],
        &["--status", "open", "--budget-tokens", "x"],
        &["--older-than", "soon"],
    ] {
        submit(wrong).fails(2, &["--"]);
    }
    assert_eq!(place.json(&["batch", "list"]), json!({"items": [], "next_cursor": null}));
}

#[tokio::test]
async fn lines_are_listed_by_outcome_and_page_by_page() {
    let ledger = Ledger::new().await;
    ledger.enter_some_of_each().await;
    let all = ledger.place.json(&["batch", "lines", ID]);
    let outcomes: Vec<&str> = items(&all).iter().map(|line| line["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["ok", "held", "failed", "unknown", "duplicate", "unreadable", "failed"]);
    let held = ledger.place.json(&["batch", "lines", ID, "--outcome", "held"]);
    assert_eq!(items(&held).as_slice(), &items(&all)[1..2]);
    assert_eq!(
        (&held["items"][0]["custom_id"], &held["items"][0]["ticket_id"], &held["items"][0]["reason"]),
        (&json!("T-2"), &json!("T-2"), &json!("sensitive"))
    );
    let (mut seen, mut cursor) = (Vec::new(), "0".to_owned());
    loop {
        let page = ledger.place.json(&["batch", "lines", ID, "--limit", "3", "--cursor", &cursor]);
        seen.extend(items(&page).clone());
        match page["next_cursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => break,
        }
    }
    assert_eq!(&seen, items(&all));
    let plain = ledger.place.run(&["batch", "lines", ID]).succeeds();
    assert_eq!(plain.out.lines().count(), 8);
    assert!(!plain.out.contains('\u{1b}'), "{plain:?}");
    ledger.place.run(&["batch", "lines", "bat_nobodys"]).fails(1, &["bat_nobodys", "frontdesk batch list"]);
    ledger.place.run(&["batch", "lines", ID, "--outcome", "fine"]).fails(2, &["held", "skipped"]);
}

#[tokio::test]
async fn the_whole_ledger_is_exported_and_no_file_is_written_over() {
    let ledger = Ledger::new().await;
    let many = (0..1_201).map(|n| (Some(format!("T-{n}")), usable(&format!("T-{n}"), None)));
    ledger.enter(many).await;
    let lines = |args: &[&str]| ledger.place.run(&[&["batch", "lines", ID, "--export"], args].concat());
    let told = lines(&["all.jsonl", "--json"]).succeeds().json();
    assert_eq!((&told["lines"], &told["file"]), (&json!(1_201), &json!("all.jsonl")));
    let written = std::fs::read_to_string(ledger.place.dir.path().join("all.jsonl")).unwrap();
    let ids: Vec<String> = written
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["custom_id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(ids, (0..1_201).map(|n| format!("T-{n}")).collect::<Vec<_>>());
    lines(&["all.jsonl"]).fails(1, &["all.jsonl is there already"]);
    assert_eq!(std::fs::read_to_string(ledger.place.dir.path().join("all.jsonl")).unwrap(), written);
    lines(&["no/such/folder.csv"]).fails(1, &["no/such/folder.csv cannot be written"]);
    lines(&["x.csv", "--limit", "5"]).fails(2, &["--limit"]);
    let table = lines(&["-", "--format", "csv"]).succeeds();
    assert_eq!(table.out.lines().count(), 1_202);
    lines(&["held.csv", "--outcome", "held"]).succeeds();
    let held = std::fs::read_to_string(ledger.place.dir.path().join("held.csv")).unwrap();
    assert_eq!(held.lines().count(), 1, "headings only: {held}");
}

#[tokio::test]
async fn an_exported_cell_is_no_formula() {
    let ledger = Ledger::new().await;
    ledger.enter_some_of_each().await;
    let table = ledger.place.run(&["batch", "lines", ID, "--export", "-"]).succeeds().out;
    assert!(table.starts_with("number,custom_id,ticket_id,outcome,result,fate,reason,found,resource_id\n"), "{table}");
    assert!(table.contains("\n1,T-1,T-1,ok,ok,,,output:1,batch_e2e/T-1\n"), "{table}");
    assert!(table.contains("\n4,'=cmd|'/c calc'!A1,"), "{table}");
    assert!(table.contains("\n7,\"a,\"\"b\"\"\u{1b}[2J\","), "{table}");
}

#[tokio::test]
async fn a_batch_is_shown_with_what_openai_says_and_what_happens_next() {
    let ledger = Ledger::new().await;
    ledger.enter_some_of_each().await;
    ledger.finish("completed", &[]).await;
    let shown = ledger.place.run(&["batch", "show", ID]).succeeds();
    for words in [
        "batch_e2e    waiting since ",
        "by another program",
        "batch_e2e completed",
        "OpenAI counts 5 completed, 2 failed, 7 total",
        "2 failed, 1 duplicate, 1 held, 1 ok, 1 unknown, 1 unreadable",
        "1 api_error_400",
        "because of its size",
        "frontdesk batch apply batch_e2e",
        "owner        a lead",
    ] {
        assert!(shown.out.contains(words), "{words}: {shown:?}");
    }
    assert_eq!(ledger.place.json(&["batch", "show", ID])["state"], "waiting");
    ledger.place.run(&["batch", "show", "bat_nobodys"]).fails(1, &["bat_nobodys"]);
}

#[tokio::test]
async fn a_batch_that_openai_refused_is_shown_with_its_errors_by_line() {
    let ledger = Ledger::new().await;
    let many: Vec<(&str, Option<i64>)> = (1..=12).map(|line| ("invalid_json_line", Some(line))).collect();
    ledger.finish("failed", &[&many[..], &[("token_limit\u{1b}[31m", None)]].concat()).await;
    let shown = ledger.place.run(&["batch", "show", ID]).succeeds();
    for words in ["failed since", "error invalid_json_line, input line 10\n", "and 3 errors more", "batch submit"] {
        assert!(shown.out.contains(words), "{words}: {shown:?}");
    }
    assert!(!shown.out.contains("line 11") && !shown.out.contains('\u{1b}'), "{shown:?}");
}

#[tokio::test]
async fn a_program_that_watches_gets_an_object_for_each_change_until_the_batch_rests() {
    let ledger = Ledger::new().await;
    let mut command = ledger.place.command(&["batch", "show", ID, "--watch", "--json"]);
    let mut child = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let lines = lines_of(child.stdout.take().unwrap());
    let next = || -> Value { serde_json::from_str(&lines.recv_timeout(PATIENCE).unwrap()).unwrap() };
    assert_eq!(next()["state"], "ended");
    ledger.enter_some_of_each().await;
    ledger.finish("completed", &[]).await;
    let last = loop {
        let object = next();
        if object["state"] != "ended" {
            break object;
        }
    };
    assert_eq!(last["state"], "waiting");
    assert_eq!(wait(&mut child), 0);
    assert!(lines.recv_timeout(PATIENCE).is_err(), "it has ended");
    assert_eq!(ledger.place.json(&["batch", "show", ID]), last, "one shape");
}

#[tokio::test]
async fn a_person_sees_a_bar_while_a_batch_moves_and_the_batch_when_it_rests() {
    let ledger = Ledger::new().await;
    let mut terminal = Terminal::run(ledger.place.command(&["batch", "show", ID]));
    terminal.shows("0 results read");
    ledger.enter_some_of_each().await;
    ledger.finish("completed", &[]).await;
    let (code, seen) = terminal.end();
    assert_eq!(code, 0, "{seen:?}");
    assert!(seen.contains("waiting") && seen.contains("frontdesk batch apply batch_e2e"), "{seen:?}");
}

#[tokio::test]
async fn whoever_stops_watching_leaves_at_once_and_the_batch_goes_on() {
    let ledger = Ledger::new().await;
    let mut terminal = Terminal::run(ledger.place.command(&["batch", "show", ID]));
    terminal.shows("results read");
    crate::process::signal(&terminal.child, "INT");
    let (code, seen) = terminal.end();
    assert_eq!(code, 130);
    assert!(seen.contains("goes on") && seen.contains("frontdesk batch show batch_e2e"), "{seen:?}");
}

#[test]
fn schedules_are_listed_with_their_next_time_there_and_in_utc() {
    let place = Place::new();
    place.run(&["migrate"]).succeeds();
    assert_eq!(place.json(&["batch", "schedules"]), json!({"items": [], "next_cursor": null}));
    place.write(
        "frontdesk.toml",
        "[schedules.nightly]\nworkflow = \"classification\"\ncron = \"0 2 1 1 *\"\ntimezone = \"Asia/Tokyo\"\nstatus = \"open\"\n",
    );
    let listed = place.json(&["batch", "schedules"]);
    let nightly = &items(&listed)[0];
    assert_eq!((&nightly["name"], &nightly["timezone"]), (&json!("nightly"), &json!("Asia/Tokyo")));
    assert!(nightly["next_local"].as_str().unwrap().ends_with("-01-01T02:00:00+09:00"), "{nightly}");
    assert!(nightly["next_at"].as_str().unwrap().ends_with("-12-31T17:00:00.000Z"), "{nightly}");
    let plain = place.run(&["batch", "schedules"]).succeeds();
    assert!(plain.out.contains("nightly\tclassification\tdefault\t0 2 1 1 *"), "{plain:?}");
    place.write(
        "frontdesk.toml",
        "[schedules.nightly]\nworkflow = \"poetry\"\ncron = \"0 2 * * *\"\ntimezone = \"UTC\"\nstatus = \"open\"\n",
    );
    place.run(&["batch", "schedules"]).fails(1, &["schedules.nightly.workflow", "classification"]);
}
