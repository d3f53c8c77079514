//! The command line: help, shapes, exit statuses, output in a pipe.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::json;

use crate::process::{Place, Ran};

const COMMANDS: &[&[&str]] = &[
    &[],
    &["demo"],
    &["serve"],
    &["migrate"],
    &["submit"],
    &["batch"],
    &["batch", "submit"],
    &["batch", "list"],
    &["batch", "show"],
    &["batch", "lines"],
    &["batch", "sample"],
    &["batch", "apply"],
    &["batch", "reject"],
    &["batch", "pause"],
    &["batch", "resume"],
    &["batch", "undo"],
    &["batch", "schedules"],
    &["why"],
    &["deliveries"],
    &["deliveries", "list"],
    &["deliveries", "show"],
    &["deliveries", "dismiss"],
    &["insights"],
    &["alerts"],
    &["alerts", "list"],
    &["alerts", "test"],
    &["deliveries", "replay"],
    &["jobs"],
    &["jobs", "list"],
    &["jobs", "show"],
    &["jobs", "retry"],
    &["jobs", "discard"],
    &["reviews"],
    &["reviews", "list"],
    &["reviews", "show"],
    &["reviews", "claim"],
    &["reviews", "release"],
    &["reviews", "approve"],
    &["reviews", "reject"],
    &["reviews", "escalate"],
    &["reviews", "undo"],
    &["reviews", "stats"],
    &["audit"],
    &["doctor"],
    &["pause"],
    &["resume"],
    &["pauses"],
    &["trail", "list"],
    &["workflows", "list"],
    &["workflows", "show"],
    &["policy"],
    &["policy", "show"],
    &["policy", "check"],
    &["policy", "test"],
    &["policy", "replay"],
    &["token", "create"],
    &["token", "list"],
    &["config", "example"],
    &["config", "check"],
    &["erase"],
    &["backup"],
    &["restore"],
    &["restored"],
    &["trigger"],
    &["simulate"],
    &["completions"],
];

fn is_plain(ran: &Ran) {
    for text in [&ran.out, &ran.err] {
        let odd = text.chars().find(|c| *c == '\u{1b}' || ('\u{2500}'..='\u{257f}').contains(c));
        assert!(odd.is_none(), "{odd:?} in a pipe: {text}");
    }
}

#[test]
fn every_command_explains_itself() {
    let place = Place::in_a_file();
    for command in COMMANDS {
        let help = place.run(&[*command, &["--help"]].concat()).succeeds();
        assert!(help.out.contains("Usage: frontdesk") && help.err.is_empty(), "{help:?}");
        is_plain(&help);
    }
    assert!(place.run(&["--version"]).succeeds().out.starts_with("frontdesk "));
}

#[test]
fn wrong_usage_is_exit_status_2() {
    let place = Place::in_a_file();
    let cases: [&[&str]; 19] = [
        &[],
        &["nonsense"],
        &["batch", "submit", "classification"],
        &["batch", "list", "--state", "nonsense"],
        &["batch", "sample", "bat_1", "--limit", "51"],
        &["why"],
        &["deliveries"],
        &["deliveries", "list", "--limit", "0"],
        &["deliveries", "list", "--limit", "501"],
        &["deliveries", "list", "--status", "nonsense"],
        &["deliveries", "dismiss", "wh_1"],
        &["deliveries", "dismiss", "--reason", "r"],
        &["alerts", "test", "--channel", "pigeon"],
        &["serve", "--roles", "cook"],
        &["token", "create", "--name", "n", "--role", "king"],
        &["trigger", "response.completed"],
        &["trigger", "x", "--to", "http://127.0.0.1:1", "--same-id", "--same-event"],
        &["simulate", "--fault", "incomplete=2"],
        &["completions", "tcl"],
    ];
    for case in cases {
        let ran = place.run(case);
        assert_eq!(ran.code, 2, "{case:?} {ran:?}");
        assert!(!ran.err.is_empty() && ran.out.is_empty(), "{ran:?}");
        is_plain(&ran);
    }
}

#[test]
fn an_unknown_id_is_exit_status_1_with_a_line_that_says_so() {
    let place = Place::new();
    place.run(&["migrate"]).succeeds();
    let cases: [&[&str]; 13] = [
        &["why", "T-1"],
        &["batch", "show", "bat_1"],
        &["batch", "lines", "bat_1"],
        &["batch", "apply", "bat_1", "--yes"],
        &["deliveries", "show", "wh_1"],
        &["deliveries", "dismiss", "wh_1", "--reason", "r"],
        &["jobs", "show", "job_1"],
        &["jobs", "show", "nonsense"],
        &["jobs", "retry", "job_1"],
        &["jobs", "discard", "job_1", "--reason", "r"],
        &["reviews", "show", "rev_1"],
        &["workflows", "show", "poetry"],
        &["token", "revoke", "--name", "nobody"],
    ];
    for case in cases {
        place.run(case).fails(1, &["frontdesk: "]);
        place.run(&[case, &["--json"]].concat()).fails(1, &["frontdesk: "]);
    }
}

#[test]
fn without_a_database_a_command_says_how_to_make_one() {
    let place = Place::in_a_file();
    place.run(&["deliveries", "list"]).fails(1, &["no database", "frontdesk migrate", "DATABASE_URL"]);
    assert!(!place.file().exists(), "reading makes no database");
}

#[test]
fn empty_lists_have_the_shape_of_the_api() {
    let place = Place::new();
    place.run(&["migrate"]).succeeds();
    for command in [
        ["deliveries", "list"],
        ["jobs", "list"],
        ["reviews", "list"],
        ["token", "list"],
        ["alerts", "list"],
        ["batch", "list"],
    ] {
        assert_eq!(place.json(&command), json!({"items": [], "next_cursor": null}), "{command:?}");
        let plain = place.run(&command).succeeds();
        is_plain(&plain);
        assert_eq!(plain.out.lines().count(), 1, "headings only: {plain:?}");
    }
}

#[test]
fn a_token_is_shown_once_and_its_name_is_taken_once() {
    let place = Place::new();
    let make = ["token", "create", "--name", "Ana", "--role", "lead"];
    let made = place.json(&make);
    assert_eq!((&made["name"], &made["role"]), (&json!("Ana"), &json!("lead")));
    let token = made["token"].as_str().unwrap();
    assert!(token.len() > 20);
    place.run(&make).fails(1, &["Ana", "another name"]);
    let bare = place.run(&["token", "create", "--name", "Ben", "--role", "agent"]).succeeds();
    assert_eq!(bare.out.trim_end().lines().count(), 1, "only the token, for a script: {bare:?}");
    assert_eq!(place.json(&["token", "list"])["items"].as_array().unwrap().len(), 2);
    if let Some(file) = place.location().file() {
        let wal = std::fs::read(place.dir.path().join("frontdesk.db-wal")).unwrap_or_default();
        for bytes in [std::fs::read(file).unwrap(), wal] {
            assert!(!bytes.windows(token.len()).any(|window| window == token.as_bytes()), "only the hash is stored");
        }
    }
    place.run(&["token", "create", "--name", " ", "--role", "lead"]).fails(1, &["name"]);
}

#[test]
fn workflows_show_prompt_and_schema() {
    let place = Place::in_a_file();
    let listed = place.json(&["workflows", "list"]);
    let names: Vec<_> = listed["items"].as_array().unwrap().iter().map(|w| w["name"].as_str().unwrap()).collect();
    for name in ["summary", "classification", "draft_reply"] {
        assert!(names.contains(&name), "{names:?}");
        let shown = place.json(&["workflows", "show", name]);
        assert!(shown["instructions"].as_str().unwrap().len() > 20);
        is_plain(&place.run(&["workflows", "show", name]).succeeds());
    }
    assert!(place.json(&["workflows", "show", "classification"])["schema"].is_object());
    is_plain(&place.run(&["workflows", "list"]).succeeds());
}

#[test]
fn completion_scripts_are_printed_for_every_shell() {
    let place = Place::in_a_file();
    for shell in ["bash", "zsh", "fish"] {
        let script = place.run(&["completions", shell]).succeeds();
        assert!(script.out.contains("frontdesk") && script.out.contains("deliveries"), "{shell}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let place = Place::new();
    place.run(&["migrate"]).succeeds();
    let cases: [&[&str]; 5] = [
        &["completions", "zsh"],
        &["config", "example"],
        &["workflows", "list"],
        &["deliveries", "list", "--json"],
        &["--help"],
    ];
    for case in cases {
        let mut child = place.command(case).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let done = child.wait_with_output().unwrap();
        let err = String::from_utf8_lossy(&done.stderr);
        assert!(!err.contains("panicked"), "{case:?}: {err}");
        assert_eq!(done.status.code(), Some(0), "{case:?}: {err}");
    }
}

#[test]
fn nobody_reading_the_errors_is_no_panic() {
    let place = Place::new();
    let mut child = place.command(&["why", "T-1"]).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    drop(child.stderr.take());
    assert_eq!(child.wait().unwrap().code(), Some(1));
}

#[test]
fn the_demo_plays_to_its_end_and_prints_what_became_of_every_ticket() {
    let place = Place::in_a_file();
    let ran = place.run(&["demo", "--exit"]).succeeds();
    is_plain(&ran);
    for (ticket, words) in [
        ("T-1001", "note"),
        ("T-1032", "approved by lena"),
        ("T-1034", "rejected"),
        ("T-1037", "second try"),
        ("T-1039", "found by asking"),
        ("T-1040", "superseded"),
        ("batch expired", "not_executed"),
        ("1,000 tickets", "waiting"),
        ("pauses in the middle", "paused"),
        ("what agents touched", "changed_since"),
        ("it is undone", "1 kept, 11 undone"),
    ] {
        let told = |line: &str| line.contains(ticket) && line.contains(words) && line.ends_with("yes");
        assert!(ran.out.lines().any(told), "{ticket} {words}: {ran:?}");
    }
    assert!(ran.out.contains("tickets get intent shipping"), "what the lead reads: {ran:?}");
    assert!(ran.out.lines().last().unwrap().starts_with("nothing ended silently ("), "{ran:?}");
    assert!(!place.file().exists(), "the demo leaves nothing here");
}

#[test]
fn the_environment_that_the_demo_prints_leads_other_commands_to_it() {
    let place = Place::in_a_file();
    let mut demo = place
        .command(&["demo", "--listen", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines().map(Result::unwrap);
    let export = lines.find(|line| line.contains("export FRONTDESK_CONFIG=")).unwrap();
    let file = export.split_once('=').unwrap().1.to_owned();
    let apply = lines.find(|line| line.contains("batch apply bat_")).expect("a tip for the batch of the night");
    let night = apply.split_whitespace().find(|word| word.starts_with("bat_")).unwrap();
    assert!(lines.any(|line| line.starts_with("Ctrl-C")), "it says how it ends");
    let asked = [
        (&["batch", "show", night][..], "because of its size"),
        (&["batch", "list", "--state", "waiting"], night),
        (&["batch", "reject", night, "--yes"], "rejected"),
        (&["audit"], "nothing ended silently"),
        (&["why", "T-1032"], "lena approved rev_"),
        (&["reviews", "list", "--state", "open"], "T-1003"),
        (&["workflows", "list"], "warranty"),
    ];
    let ran = asked.map(|(args, words)| (words, place.run(&[&["--config", &file], args].concat())));
    crate::process::terminate(&demo);
    assert_eq!(crate::process::wait(&mut demo), 0);
    for (words, ran) in ran {
        assert!(ran.code == 0 && ran.out.contains(words), "{words}: {ran:?}");
    }
    assert!(!std::path::Path::new(&file).exists(), "it removes what it made");
}

#[test]
fn a_demo_whose_address_is_taken_says_so() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let place = Place::in_a_file();
    let temporary = tempfile::tempdir().unwrap();
    let place = place.with("TMPDIR", temporary.path().to_str().unwrap());
    place.run(&["demo", "--exit", "--listen", &addr]).fails(1, &["cannot listen", &addr]);
    assert_eq!(temporary.path().read_dir().unwrap().count(), 0, "it removes what it made");
}

#[test]
fn simulate_prints_its_base_url_and_stops_when_told() {
    let place = Place::in_a_file();
    let mut child = place
        .command(&["simulate", "--listen", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    crate::process::terminate(&child);
    assert_eq!(crate::process::wait(&mut child), 0);
    assert!(line.starts_with("OPENAI_BASE_URL=http://127.0.0.1:") && line.trim_end().ends_with("/v1"), "{line}");
}
