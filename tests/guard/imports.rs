//! Who may import whom. The rule is the table of ARCHITECTURE.md itself, so
//! that page and code cannot drift apart.

use std::collections::{BTreeMap, BTreeSet};

use crate::markdown::{code_spans, table};
use crate::tree::{files_ending, read};

type Names = BTreeSet<String>;

/// The map's table: module → what it may import.
fn allowed() -> BTreeMap<String, Names> {
    let rows = table(&read("ARCHITECTURE.md"), "may import");
    let name = |row: &Vec<String>| code_spans(&row[0]).first().expect("a module").clone();
    let all: Names = rows.iter().map(name).collect();
    rows.iter().map(|row| (name(row), named(&row[2], &all))).collect()
}

/// `nothing`, a list of modules, or `everything but` a list.
fn named(cell: &str, all: &Names) -> Names {
    let listed: Names = code_spans(cell).into_iter().collect();
    if cell.starts_with("everything") { all.difference(&listed).cloned().collect() } else { listed }
}

/// Module of a file of `src`, and how deep the file's own module lies.
fn place(file: &str) -> (String, usize) {
    let path = file.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
    (path.split('/').next().unwrap_or_default().to_owned(), path.split('/').count())
}

/// The file without its comments.
fn code(text: &str) -> String {
    let uncommented = |line: &str| line.split(" // ").next().unwrap_or_default().to_owned() + "\n";
    text.lines().filter(|line| !line.trim_start().starts_with("//")).map(uncommented).collect()
}

fn word(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}

/// First names of what stands after `crate::`: one name, or those of a group.
fn heads(rest: &str) -> Names {
    let Some(group) = rest.strip_prefix('{') else { return Names::from([word(rest).to_owned()]) };
    let (mut heads, mut depth, mut item) = (Names::new(), 0_i32, String::new());
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                heads.insert(word(item.trim()).to_owned());
                item.clear();
                continue;
            }
            _ => {}
        }
        item.push(c);
    }
    heads.insert(word(item.trim()).to_owned());
    heads.remove("");
    heads
}

/// What follows each `prefix` that begins a path.
fn after<'a>(code: &'a str, prefix: &str) -> Vec<&'a str> {
    let begins = |at: usize| !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
    code.match_indices(prefix).filter(|(at, _)| begins(*at)).map(|(at, _)| &code[at + prefix.len()..]).collect()
}

/// The top-level modules that a file names, its own left out.
fn imports(file: &str, text: &str, modules: &Names) -> Names {
    let (own, depth) = place(file);
    let code = code(text);
    let mut named: Names = after(&code, "crate::").into_iter().flat_map(heads).collect();
    if own == "main" {
        named.extend(after(&code, "frontdesk::").into_iter().flat_map(heads));
    }
    // A path may also climb to the root: super::super::store.
    for mut rest in after(&code, "super::") {
        let mut climbed = 1;
        while let Some(higher) = rest.strip_prefix("super::") {
            (rest, climbed) = (higher, climbed + 1);
        }
        if climbed >= depth {
            named.extend(heads(rest));
        }
    }
    named.into_iter().filter(|name| modules.contains(name) && *name != own).collect()
}

/// What a file imports and may not.
fn violations(file: &str, text: &str, allowed: &BTreeMap<String, Names>) -> Vec<String> {
    let (own, _) = place(file);
    let modules: Names = allowed.keys().cloned().collect();
    let mine = allowed.get(&own).unwrap_or_else(|| panic!("{own} is not on the map of ARCHITECTURE.md"));
    imports(file, text, &modules).difference(mine).map(|name| format!("{file} imports {name}")).collect()
}

#[test]
fn the_map_names_every_module_and_no_other() {
    let there: Names =
        files_ending("src", ".rs").iter().map(|file| place(file).0).filter(|module| module != "lib").collect();
    assert_eq!(allowed().into_keys().collect::<Names>(), there);
}

#[test]
fn modules_import_only_what_the_map_allows() {
    let allowed = allowed();
    let sources = files_ending("src", ".rs").into_iter().filter(|file| file != "src/lib.rs");
    let found: Vec<String> = sources.flat_map(|file| violations(&file, &read(&file), &allowed)).collect();
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn the_map_has_no_cycle() {
    let mut left = allowed();
    while !left.is_empty() {
        let free: Names = left.iter().filter(|(_, uses)| uses.is_empty()).map(|(name, _)| name.clone()).collect();
        assert!(!free.is_empty(), "these import each other in a circle: {:?}", left.keys());
        left.retain(|name, _| !free.contains(name));
        left.values_mut().for_each(|uses| uses.retain(|name| !free.contains(name)));
    }
}

#[test]
fn a_planted_import_is_found_however_it_is_written() {
    let allowed = allowed();
    let planted = [
        ("src/intake/endpoint.rs", "use crate::openai::Client;", "openai"),
        ("src/intake/endpoint.rs", "use crate::{clock::Clock, worker::{Pool, Worker}};", "worker"),
        ("src/intake/mod.rs", "use crate::{\n    domain::{event, job},\n    helpdesk,\n};", "helpdesk"),
        ("src/domain/job.rs", "let now = crate::clock::Clock::System;", "clock"),
        ("src/workflows/summary.rs", "use super::super::store::Store;", "store"),
        ("src/http.rs", "fn f(app: super::app::App) {}", "app"),
        ("src/worker/pool.rs", "pub(crate) use crate::web;", "web"),
        ("src/main.rs", "frontdesk::app::start()", "app"),
    ];
    for (file, text, module) in planted {
        assert_eq!(violations(file, text, &allowed), [format!("{file} imports {module}")], "{text}");
    }
    let clean = "//! Sees [`crate::openai`].\nuse crate::store::Store; // not crate::openai\nuse super::refusals;";
    assert!(violations("src/intake/endpoint.rs", clean, &allowed).is_empty());
}

/// The table of crates that stay in one place: crate → modules.
fn kept_in() -> Vec<(String, Names)> {
    let row = |row: Vec<String>| (code_spans(&row[0]).remove(0), code_spans(&row[1]).into_iter().collect());
    table(&read("ARCHITECTURE.md"), "used only in").into_iter().map(row).collect()
}

fn strays(file: &str, text: &str, kept_in: &[(String, Names)]) -> Vec<String> {
    let (own, _) = place(file);
    let code = code(text);
    let uses = |name: &str| !after(&code, &format!("{name}::")).is_empty();
    let stray = |(name, modules): &&(String, Names)| !modules.contains(&own) && uses(name);
    kept_in.iter().filter(stray).map(|(name, _)| format!("{file} uses {name}")).collect()
}

#[test]
fn crates_stay_where_the_map_says() {
    let kept_in = kept_in();
    let found: Vec<String> =
        files_ending("src", ".rs").iter().flat_map(|file| strays(file, &read(file), &kept_in)).collect();
    assert!(found.is_empty(), "{found:#?}");
    assert_eq!(strays("src/web/why.rs", "use rusqlite::Row;", &kept_in), ["src/web/why.rs uses rusqlite"]);
}
