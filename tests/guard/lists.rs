//! A list in a page is read by a test too, or it goes stale.

use std::collections::BTreeSet;

use crate::markdown::{code_lines, code_spans, table};
use crate::tree::{files_ending, read};

type Names = BTreeSet<String>;

/// First code span of each row of a table.
fn first_column(page: &str, heading: &str) -> Names {
    table(&read(page), heading).iter().flat_map(|row| code_spans(&row[0])).collect()
}

/// The text literals of a piece of code.
fn texts(code: &str) -> Names {
    code.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

/// What stands between two marks.
fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let (_, rest) = text.split_once(from).unwrap_or_else(|| panic!("no {from:?}"));
    rest.split_once(to).unwrap_or_else(|| panic!("no {to:?} after {from:?}")).0
}

/// The words that a closed list of the code is written with: `Type::A => "a",`.
fn written(file: &str, kind: &str) -> Names {
    let text = read(file);
    let begin = format!("{kind}::");
    let lines = text.lines().filter(|line| line.trim_start().starts_with(&begin));
    lines.filter(|line| line.contains("=> \"")).flat_map(|line| texts(line.trim())).collect()
}

#[test]
fn the_first_page_lists_the_events_that_are_handled() {
    let events = read("src/domain/event.rs");
    let handled = texts(between(&events, "pub const HANDLED", "];"));
    let is_event = |span: &String| span.starts_with("response.") || span.starts_with("batch.");
    let listed: Names = code_lines(&read("README.md"))
        .iter()
        .flat_map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        .filter(is_event)
        .collect();
    assert_eq!(listed, handled);
}

#[test]
fn the_states_of_the_map_are_those_of_the_code() {
    assert_eq!(first_column("ARCHITECTURE.md", "leaves by"), written("src/domain/job.rs", "State"));
}

#[test]
fn the_steps_after_which_a_crash_is_told_are_those_of_the_code() {
    let text = read("src/worker/attempt.rs");
    let all = between(&text, "pub const ALL: [Step;", "];");
    let steps: Names = all.split("Step::").skip(1).map(|rest| rest.split(',').next().unwrap().to_owned()).collect();
    assert_eq!(first_column("ARCHITECTURE.md", "what the next attempt does"), steps);
}

/// Alerts that no job fails with, and notices.
fn conditions() -> Names {
    let mut files = files_ending("src/worker/watch", ".rs");
    files.extend(
        [
            "src/worker/watch.rs",
            "src/worker/reconcile.rs",
            "src/store/heard.rs",
            "src/store/parked.rs",
            "src/store/sends.rs",
            "src/store/erase/reviews.rs",
            "src/store/batches/feed.rs",
            "src/store/batches/finish.rs",
        ]
        .map(str::to_owned),
    );
    let code = files.iter().map(|file| read(file)).collect::<String>().replace("pub(in crate::store) const", "const");
    let consts = code
        .lines()
        .filter_map(|line| line.trim_start_matches("pub ").strip_prefix("const ")?.split("&str = \"").nth(1));
    let mut kinds: Names = consts.map(|rest| rest.trim_end_matches("\";").to_owned()).collect();
    // Not kinds: a subject, the names of marks, and a reason in words.
    kinds.retain(|name| name != "unreadable" && name != "parked" && !name.contains([' ', '/']));
    let told = texts(between(&read("src/domain/event.rs"), "pub const TOLD", "];"));
    kinds.extend(told.into_iter().filter(|name| !name.contains('.')));
    kinds
}

#[test]
fn a_message_says_what_to_do_about_each_cause() {
    let help = read("src/notify/help.rs");
    let lines = help.lines().filter_map(|line| line.split_once(" => "));
    let helped: Names = lines.flat_map(|(kinds, _)| texts(kinds)).filter(|kind| kind != "test").collect();
    assert_eq!(helped, first_column("docs/operations.md", "cause"));
}

#[test]
fn the_causes_explained_to_operators_are_those_of_the_code() {
    let mut causes = written("src/domain/failure.rs", "Cause");
    causes.extend(conditions());
    assert_eq!(first_column("docs/operations.md", "cause"), causes);
}

#[test]
fn the_reasons_explained_to_operators_are_those_of_the_code() {
    assert_eq!(first_column("docs/operations.md", "reason"), written("src/domain/hold.rs", "HoldReason"));
}

#[test]
fn the_questions_of_why_are_those_of_the_code() {
    let page = read("docs/operations.md");
    let trail = read("src/domain/trail.rs");
    let questions: Vec<&str> =
        trail.split("const QUESTION: &str = \"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(questions.len() > 5);
    for question in questions {
        assert!(page.contains(question), "{question}");
    }
}

/// Names under which the code registers metrics, with their unit.
fn registered() -> Names {
    let code = read("src/telemetry.rs");
    let one = |mark: &str, unit: &str| -> Vec<String> {
        let rests = code.split(mark).skip(1);
        rests.filter_map(|rest| Some(format!("frontdesk_{}{unit}", rest.split('"').nth(1)?))).collect()
    };
    one("registry.register(", "").into_iter().chain(one("registry.register_with_unit(", "_seconds")).collect()
}

#[test]
fn the_metrics_explained_to_operators_are_those_that_are_registered() {
    let listed = first_column("docs/operations.md", "metric");
    let bare: Names = listed.iter().map(|name| name.trim_end_matches("_total").to_owned()).collect();
    assert_eq!(bare, registered());
}

#[test]
fn a_metric_named_on_any_page_is_one_of_them() {
    let registered = registered();
    for page in files_ending("", ".md") {
        for line in code_lines(&read(&page)) {
            let names = line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            // frontdesk_simulator is a crate.
            for name in names.filter(|name| name.starts_with("frontdesk_") && *name != "frontdesk_simulator") {
                assert!(registered.contains(name.trim_end_matches("_total")), "{page}: {name}");
            }
        }
    }
}

#[test]
fn the_settings_explained_to_operators_are_there() {
    let example = read("src/config.example.toml");
    // With the commented ones, which have no default.
    let all: String = example.lines().map(|line| uncommented(line).to_owned() + "\n").collect();
    let settings: toml::Table = all.parse().expect("TOML");
    for name in first_column("docs/operations.md", "setting") {
        assert!(holds(&settings, &name), "{name} is no setting");
    }
}

fn uncommented(line: &str) -> &str {
    line.strip_prefix("# ")
        .filter(|rest| rest.contains(" = \"") || rest.contains(" = [") || rest.starts_with('['))
        .unwrap_or(line)
}

fn holds(settings: &toml::Table, name: &str) -> bool {
    match name.split_once('.') {
        None => settings.contains_key(name),
        Some((section, rest)) => {
            settings.get(section).and_then(toml::Value::as_table).is_some_and(|section| holds(section, rest))
        }
    }
}

#[test]
fn the_codes_of_refusals_explained_to_operators_are_there() {
    let code: String = ["src/domain/verify.rs", "src/intake/explain.rs", "src/intake/endpoint.rs"].map(read).join("\n");
    for name in first_column("docs/operations.md", "code") {
        assert!(code.contains(&format!("\"{name}\"")), "{name} is no code");
    }
}
