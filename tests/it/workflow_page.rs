//! The page about workflows: its examples are loaded, not just read.

use frontdesk::app;
use frontdesk::config::Config;

/// The blocks of settings on the page.
fn blocks() -> Vec<String> {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/workflows.md")).unwrap();
    let blocks = page.split("```toml\n").skip(1);
    blocks.map(|rest| rest.split_once("```").expect("its end").0.to_owned()).collect()
}

/// The settings of the complete example.
pub fn example() -> Config {
    let block = blocks().into_iter().find(|block| block.contains("[workflows.custom.")).expect("an example");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), block).unwrap();
    Config::load(Some(file.path()), &|_| None).unwrap()
}

#[test]
fn the_complete_example_is_a_workflow_that_openai_follows_to_the_letter() {
    let catalogue = app::workflows(&example()).unwrap();
    let warranty = catalogue.named("warranty").expect("it is there");
    assert!(warranty.is_strict());
    assert!(warranty.instructions.contains("Solveig Lamps") && !warranty.instructions.contains("{{"));
}

#[test]
fn the_other_settings_of_the_page_are_good() {
    for block in blocks() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("extraction.json"), r#"{"type": "object", "properties": {"a": {}}}"#)
            .unwrap();
        std::fs::write(folder.path().join("frontdesk.toml"), block).unwrap();
        let config = Config::load(Some(&folder.path().join("frontdesk.toml")), &|_| None).unwrap();
        app::workflows(&config).unwrap();
    }
}
