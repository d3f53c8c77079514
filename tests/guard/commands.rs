//! The pages show only commands, subcommands and options that there are.

use std::process::Command;

use crate::markdown::code_lines;
use crate::tree::{files_ending, read};

/// Variants of `enum Command` in a file of the command line, as people type
/// them; true for those with subcommands of their own.
fn commands(file: &str) -> Vec<(String, bool)> {
    let text = read(file);
    let body = text.split_once("enum Command {").expect("an enum Command").1.split_once("\n}").expect("its end").0;
    let (mut found, mut nested) = (Vec::new(), false);
    for line in body.lines().filter(|line| line.starts_with("    ") && !line.starts_with("     ")) {
        let line = line.trim();
        if line == "#[command(subcommand)]" {
            nested = true;
        } else if line.starts_with(|c: char| c.is_ascii_uppercase()) {
            let name: String = line.chars().take_while(char::is_ascii_alphanumeric).collect();
            found.push((name.to_lowercase(), nested));
            nested = false;
        }
    }
    found
}

/// Command lines of this program in a line of code, as words.
fn calls(line: &str) -> Vec<Vec<String>> {
    let mut calls = Vec::new();
    for (at, _) in line.match_indices("frontdesk ") {
        let begins = !line[..at].ends_with(|c: char| c.is_alphanumeric() || "-_.=".contains(c));
        let rest = line[at..].split(['|', ';', '#', '&', ')', '`', '→']).next().unwrap_or_default();
        let words: Vec<String> = rest.split_whitespace().skip(1).map(str::to_owned).collect();
        if begins && words.first().is_some_and(|word| word.bytes().all(|b| b.is_ascii_lowercase())) {
            calls.push(words);
        }
    }
    calls
}

/// What is wrong with a call, if anything.
fn fault(words: &[String]) -> Option<String> {
    let Some((_, nested)) = commands("src/cli/mod.rs").into_iter().find(|(name, _)| *name == words[0]) else {
        return Some(format!("there is no command {}", words[0]));
    };
    let mut path = vec![words[0].as_str()];
    if let Some(word) = words.get(1).filter(|word| nested && word.bytes().all(|b| b.is_ascii_lowercase())) {
        if !commands(&file_of(&words[0])).iter().any(|(name, _)| name == word) {
            return Some(format!("{} has no {word}", words[0]));
        }
        path.push(word);
    }
    let help = help(&path);
    let option = |word: &&String| word.starts_with("--") && word.len() > 2;
    let name = |word: &String| word.split('=').next().unwrap_or_default().trim_end_matches(']').to_owned();
    let unknown = words.iter().filter(option).map(name).find(|name| !help.contains(name.as_str()));
    unknown.map(|name| format!("{} has no option {name}", path.join(" ")))
}

/// Where a command's subcommands are: a file, or a folder of them.
fn file_of(command: &str) -> String {
    let file = format!("src/cli/{command}.rs");
    if crate::tree::root().join(&file).exists() { file } else { format!("src/cli/{command}/mod.rs") }
}

fn help(path: &[&str]) -> String {
    let said = Command::new(env!("CARGO_BIN_EXE_frontdesk")).args(path).arg("--help").output().expect("it runs");
    String::from_utf8(said.stdout).expect("text")
}

#[test]
fn pages_show_only_commands_that_there_are() {
    let mut wrong = Vec::new();
    for page in files_ending("", ".md") {
        for line in code_lines(&read(&page)) {
            wrong.extend(calls(&line).iter().filter_map(|call| Some(format!("{page}: {line}: {}", fault(call)?))));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_first_page_shows_the_commands_that_everybody_needs() {
    let shown: Vec<Vec<String>> = code_lines(&read("README.md")).iter().flat_map(|line| calls(line)).collect();
    for command in ["serve", "token", "submit", "why"] {
        assert!(shown.iter().any(|call| call[0] == command), "{command}");
    }
}

#[test]
fn a_command_or_option_that_there_is_not_is_found() {
    let fault = |line: &str| calls(line).iter().find_map(|call| fault(call));
    assert_eq!(fault("frontdesk dance T-1"), Some("there is no command dance".to_owned()));
    assert_eq!(fault("./frontdesk token burn"), Some("token has no burn".to_owned()));
    assert_eq!(fault("frontdesk submit summary --tickt T-1"), Some("submit has no option --tickt".to_owned()));
    assert_eq!(fault("frontdesk token create --name me --role admin | cat"), None);
    assert_eq!(fault("cargo build -p frontdesk"), None);
}
