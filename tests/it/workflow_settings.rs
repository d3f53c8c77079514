//! What is wrong with the settings of a workflow is told before anything runs,
//! with the place and what to do.

use frontdesk::app;
use frontdesk::config::Config;

const GOOD: &str = "[workflows.custom.vip]\nprompt = 'p'\n[workflows.custom.vip.effects]\nnote = true\n";

/// Settings, where they are refused, and the hint.
const REFUSED: &[(&str, &str, &str)] = &[
    (
        "[workflows.custom.vip]\nprompt = 'p'\nschma = '{}'\n",
        ":3: workflows.custom.vip.schma: unknown field",
        "config example",
    ),
    ("[workflows.custom.vip.effects]\nnte = 'a'\n", ":2: workflows.custom.vip.effects.nte: unknown field", "`note`"),
    (
        "[workflows.custom.vip.effects]\nnote = 3\n",
        ":2: workflows.custom.vip.effects.note: ",
        "a property's name, or true",
    ),
    ("[workflows.custom.vip.effects]\nfields = 3\n", ":2: workflows.custom.vip.effects.fields: ", "or \"all\""),
    (
        "[workflows.custom.vip]\nprompt = 'p'\n[workflows.custom.vip.effects]\nnote = 'a'\n",
        ":4: workflows.custom.vip.effects.note: ",
        "no properties",
    ),
    (
        "[workflows.custom.vip]\nprompt = '{{x}}'\neffects = { note = true }\n",
        ":2: workflows.custom.vip.prompt: ",
        "{{x}}",
    ),
    ("[workflows.custom.vip]\nprompt = 'p'\n", ":1: workflows.custom.vip.effects: ", "it changes nothing"),
    ("[workflows.custom.summary]\nprompt = 'p'\n", ":1: workflows.custom.summary: ", "choose another name"),
    ("[workflows.custom.VIP]\nprompt = 'p'\n", ":1: workflows.custom.VIP: ", "lower-case"),
    (
        "[workflows.custom.vip]\nprompt_file = 'none.txt'\n",
        ":2: workflows.custom.vip.prompt_file: none.txt: ",
        "No such file",
    ),
    (
        "[workflows.custom.vip]\nprompt_file = 'blank.txt'\n",
        ":2: workflows.custom.vip.prompt_file: ",
        "say what the model",
    ),
    (
        "[workflows.custom.vip]\nprompt_file = 'long.txt'\n",
        ":2: workflows.custom.vip.prompt_file: long.txt: ",
        "100000 are allowed",
    ),
    (
        "[workflows.custom.vip]\nprompt = 'p'\nprompt_file = 'blank.txt'\n",
        ":2: workflows.custom.vip.prompt: ",
        "keep one",
    ),
    (
        "[workflows.custom.vip]\nprompt = 'p'\nschema_file = 'half.json'\n",
        ":3: workflows.custom.vip.schema_file: ",
        "not JSON",
    ),
    ("[workflows.extraction]\nschema_file = 'half.json'\n", ":2: workflows.extraction.schema_file: ", "not JSON"),
    (
        "[workflows.extraction]\nschema = '{\"type\": \"array\"}'\n",
        ":2: workflows.extraction.schema: ",
        "one of an object",
    ),
    ("[workflows.summary]\nmodle = 'm'\n", ":2: workflows.summary.modle: unknown field", "`model`"),
    ("[workflows.sumary]\nmodel = 'm'\n", ":1: workflows.sumary: unknown field", "`summary`"),
];

fn refused(text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("frontdesk.toml");
    std::fs::write(&file, text).unwrap();
    std::fs::write(folder.path().join("half.json"), "{").unwrap();
    std::fs::write(folder.path().join("blank.txt"), " \n").unwrap();
    std::fs::write(folder.path().join("long.txt"), "x".repeat(100_001)).unwrap();
    let error = match Config::load(Some(&file), &|_| None) {
        Err(error) => error.to_string(),
        Ok(config) => app::workflows(&config).err().expect(text).to_string(),
    };
    let folder = format!("{}/", folder.path().display());
    error.replace(&folder, "")
}

#[test]
fn every_refusal_names_file_line_and_setting() {
    for (text, place, hint) in REFUSED {
        let error = refused(text);
        assert!(error.starts_with(&format!("frontdesk.toml{place}")), "{text}\n{error}");
        assert!(error.contains(hint), "{text}\n{error}");
    }
}

#[test]
fn what_is_wrong_with_a_workflow_is_told_before_the_database_is_touched() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("frontdesk.toml");
    let database = folder.path().join("desk.db");
    let settings = format!("listen = '127.0.0.1:0'\ndatabase_url = 'sqlite://{}'\n", database.display());
    for (workflow, starts) in [(GOOD.replace("'p'", "'{{x}}'"), false), (GOOD.to_owned(), true)] {
        std::fs::write(&file, settings.clone() + &workflow).unwrap();
        let config = Config::load(Some(&file), &|_| None).unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let roles = app::Roles { intake: false, worker: true, web: true };
        let app = runtime.block_on(app::App::start(&config, roles, true, frontdesk::clock::Clock::System));
        assert_eq!((app.is_ok(), database.exists()), (starts, starts));
        if let Ok(app) = app {
            runtime.block_on(app.stop());
        }
    }
}
