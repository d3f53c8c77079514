//! What is refused at start, and how it is said.

use crate::process::{Place, Ran};

const PART: &str = "ZnJvbnRkZXNrIGRlbW8gc2VjcmV0LCBub3QgcHJpdmF0ZSE";

fn serve(place: &Place) -> Ran {
    place.run(&["serve"])
}

#[test]
fn the_example_of_the_settings_is_itself_a_settings_file() {
    let place = Place::in_a_file();
    let example = place.run(&["config", "example"]).succeeds().out;
    place.write("frontdesk.toml", &example);
    place.run(&["config", "check"]).succeeds();
    assert_eq!(place.json(&["config", "check"])["ok"], true);
    place.write("named.toml", &example);
    place.run(&["config", "check", "--config", "named.toml"]).succeeds();
    let place = place.with("FRONTDESK_CONFIG", "missing.toml");
    place.run(&["config", "check"]).fails(1, &["missing.toml"]);
}

#[test]
fn settings_that_make_no_sense_are_refused_with_file_line_and_hint() {
    let cases = [
        ("\n[worker]\nconcurency = 3\n", ":3", "config example"),
        ("\n\nlistn = \"127.0.0.1:0\"\n", ":3", "listn"),
        ("[wrker]\nlease = \"3s\"\n", ":1", "wrker"),
        ("[worker]\nlease = \"soon\"\n", ":2", "a number and a unit"),
        ("[http]\n\nbody_timeout = 10\n", ":3", ""),
        ("[worker]\nlease = \"10s\"\nheartbeat = \"9s\"\n", ":3", "at most half"),
        ("[retry]\nattempts = 0\n", ":2", "between 1 and 1000"),
        ("[policy]\n# moved\nmin_confidence = 0.5\n", ":3", "config example"),
        ("[http]\nmax_connections = -1\n", ":2", ""),
        ("[log]\nformat = \"xml\"\n", ":2", "text or json"),
        ("[retry\n", ":1", ""),
        ("listen = \"here\"\n", ":1", ""),
        ("database_url = 5\n", ":1", ""),
        ("database_url = \"mysql://x\"\n", "", "sqlite://"),
        ("[openai]\nwebhook_secret = \"whsec_AAAA\"\n", "", "WEBHOOK_SECRET"),
        ("[alerts]\nremind = \"5s\"\n", ":2", "at least a minute"),
        ("[alerts.slack]\nurl = \"http://example.com/x\"\n", "", "alerts.slack.url: it must begin with https://"),
        ("[alerts.webhook]\nurl = \"https://example.com\"\n", "", "alerts.webhook.secret is missing"),
    ];
    for (text, line, hint) in cases {
        let of_file = if text.contains("webhook_secret") { "OPENAI_WEBHOOK_SECRET" } else { "FRONTDESK_LISTEN" };
        let place = Place::in_a_file().without(of_file);
        place.write("bad.toml", text);
        let ran = place.run(&["serve", "--config", "bad.toml"]);
        let line = if line.is_empty() { String::new() } else { format!("bad.toml{line}") };
        ran.fails(1, &[&line, hint]);
    }
}

#[test]
fn a_secret_in_a_broken_file_is_not_repeated() {
    let place = Place::in_a_file();
    for text in [
        format!("[openai]\nwebhook_secret = whsec_{PART}=\n"),
        format!("[openai]\nwebhook_secret = \"whsec_{PART}=\n"),
        format!("[openai]\nwebhook_secrets = \"whsec_{PART}=\"\n"),
        format!("webhook_secret = \"whsec_{PART}=\"\n"),
        format!("[openai]\nwebhook_secret = [\"whsec_{PART}=\"]\n"),
        format!("[metrics]\ntoken = {{ value = \"{PART}\" }}\n"),
        "[openai]\napi_key = 20171208\n".to_owned(),
        format!("[openai]\n\"{PART}\n"),
    ] {
        place.write("frontdesk.toml", &text);
        let ran = place.run(&["config", "check"]);
        ran.fails(1, &["frontdesk.toml"]);
        assert!(!ran.err.contains(PART) && !ran.err.contains("20171208"), "{ran:?}");
    }
}

#[test]
fn config_check_refuses_what_serve_refuses_in_the_same_words() {
    for (name, value) in [
        ("OPENAI_WEBHOOK_SECRET", ""),
        ("OPENAI_WEBHOOK_SECRET", "whsec_AAAA"),
        ("OPENAI_BASE_URL", "http://proxy.example/v1"),
        ("OPENAI_BASE_URL", "not a url"),
        ("DATABASE_URL", "mysql://desk"),
        ("FRONTDESK_LOG", "a=b=c=d"),
    ] {
        let place = Place::in_a_file().with(name, value);
        let check = place.run(&["config", "check"]);
        check.fails(1, &[]);
        assert_eq!(check.err, serve(&place).err, "{name}={value}");
    }
}

#[test]
fn a_wrong_variable_is_refused_by_its_name() {
    for (name, value, hint) in [
        ("FRONTDESK_LISTEN", "everywhere", "FRONTDESK_LISTEN"),
        ("FRONTDESK_LOG_FORMAT", "xml", "text or json"),
        ("FRONTDESK_LOG", "a=b=c=d", "FRONTDESK_LOG"),
        ("OPENAI_BASE_URL", "not a url", "base"),
        ("OPENAI_API_KEY_FILE", "/nowhere", "/nowhere"),
        ("OPENAI_WEBHOOK_SECRET_FILE", "/nowhere", "OPENAI_WEBHOOK_SECRET_FILE"),
    ] {
        let place = Place::in_a_file().without(name.trim_end_matches("_FILE")).with(name, value);
        serve(&place).fails(1, &[hint]);
    }
}

#[test]
fn a_bad_signing_secret_is_refused_at_start_with_the_remedy_and_never_shown() {
    let cases = [
        (format!("v1,whsec_{PART}="), "v1,"),
        (format!("{PART}="), "whsec_"),
        (format!("WHSEC_{PART}="), "lower case"),
        ("whsec_AAAA".to_owned(), "copy it again"),
        (format!("whsec_{}\n{}", &PART[..8], &PART[8..]), "1 of 2"),
        (format!("whsec_{PART}!"), "base64"),
        (format!("\"whsec_{PART}=\""), "quotation"),
        (format!("whsec_{PART}= v1,whsec_{PART}="), "2 of 2"),
    ];
    for (secret, hint) in cases {
        let ran = serve(&Place::in_a_file().with("OPENAI_WEBHOOK_SECRET", &secret));
        ran.fails(1, &["OPENAI_WEBHOOK_SECRET", hint]);
        assert!(!ran.err.contains(&PART[8..20]), "{ran:?}");
    }
}

#[test]
fn no_signing_secret_at_all_is_refused_with_what_to_do() {
    let place = Place::in_a_file().without("OPENAI_WEBHOOK_SECRET");
    serve(&place).fails(1, &["set OPENAI_WEBHOOK_SECRET", "whsec_"]);
    place.run(&["trigger", "x", "--to", "http://127.0.0.1:1/"]).fails(1, &["OPENAI_WEBHOOK_SECRET"]);
    for unset in ["", " ", "\n"] {
        serve(&Place::in_a_file().with("OPENAI_WEBHOOK_SECRET", unset))
            .fails(1, &["set OPENAI_WEBHOOK_SECRET", "whsec_"]);
    }
    assert!(!place.file().exists(), "nothing was begun");
}

#[test]
fn an_empty_variable_is_the_same_as_none() {
    let variables = ["OPENAI_API_KEY", "OPENAI_BASE_URL", "DATABASE_URL", "FRONTDESK_LISTEN", "FRONTDESK_LOG"];
    for name in variables.into_iter().chain(["FRONTDESK_LOG_FORMAT", "FRONTDESK_CONFIG", "OPENAI_WEBHOOK_SECRET_FILE"])
    {
        for empty in ["", "  "] {
            Place::in_a_file().with(name, empty).run(&["config", "check"]).succeeds();
        }
    }
    let of_file = Place::in_a_file().with("OPENAI_WEBHOOK_SECRET", "").with("OPENAI_WEBHOOK_SECRET_FILE", "secret");
    of_file.write("secret", &format!("whsec_{PART}=\n"));
    of_file.run(&["config", "check"]).succeeds();
    of_file.write("secret", " \n");
    of_file.run(&["config", "check"]).fails(1, &["OPENAI_WEBHOOK_SECRET_FILE", "empty"]);
}

#[test]
fn a_database_of_another_kind_or_that_is_not_there_is_refused() {
    for (url, hint) in [
        ("postgres:desk:hunter2@db/desk", "postgres://USER"),
        ("postgres://desk:hunter2@127.0.0.1:1/desk", "127.0.0.1:1/desk"),
        ("mysql://desk:hunter2@db/desk", "sqlite://"),
        ("sqlite://", "sqlite://"),
        ("frontdesk.db", "sqlite://"),
        ("sqlite:///no/such/folder/desk.db", "/no/such/folder"),
    ] {
        let ran = serve(&Place::in_a_file().with("DATABASE_URL", url));
        ran.fails(1, &[hint]);
        assert!(!ran.err.contains("hunter2"), "{ran:?}");
    }
}

#[test]
fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let place = Place::in_a_file();
    let text = "these are my holiday pictures ".repeat(50);
    place.write("frontdesk.db", &text);
    serve(&place).fails(1, &["frontdesk.db"]);
    assert_eq!(std::fs::read_to_string(place.file()).unwrap(), text);
}

#[test]
fn migrating_twice_changes_nothing() {
    let place = Place::unmigrated();
    let first = place.json(&["migrate"]);
    assert_eq!(first["from"], 0);
    let second = place.json(&["migrate"]);
    assert_eq!((&second["from"], &second["to"]), (&first["to"], &first["to"]));
    assert!(place.run(&["migrate"]).succeeds().out.contains("up to date"));
}

#[test]
fn no_migrate_refuses_a_database_that_is_missing_or_old() {
    let place = Place::unmigrated();
    place.run(&["serve", "--no-migrate"]).fails(1, &["frontdesk migrate"]);
    place.sql().execute_batch("CREATE TABLE IF NOT EXISTS x (y INTEGER)").unwrap();
    place.run(&["serve", "--no-migrate"]).fails(1, &["frontdesk migrate"]);
    place.run(&["migrate"]).succeeds();
    assert_eq!(place.serve(&["--no-migrate"]).stop(), 0);
}

#[test]
fn a_newer_schema_is_refused_by_every_command_that_opens_it() {
    let place = Place::new();
    place.run(&["migrate"]).succeeds();
    place.sql().execute("INSERT INTO migrations (version, name, sha256) VALUES (9999, 'later', '')", []).unwrap();
    place.sql().execute("UPDATE marks SET value = 9999 WHERE name = 'schema/oldest'", []).unwrap();
    for command in [["serve", "--roles=intake"].as_slice(), &["serve", "--no-migrate"], &["migrate"], &["jobs", "list"]]
    {
        place.run(command).fails(1, &["9999", "newer"]);
    }
}

#[test]
fn an_address_that_is_taken_is_refused_with_the_setting_to_change() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let place = Place::in_a_file().with("FRONTDESK_LISTEN", &taken.local_addr().unwrap().to_string());
    serve(&place).fails(1, &["cannot listen", "FRONTDESK_LISTEN"]);
}
