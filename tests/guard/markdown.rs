//! The little of Markdown that the other rules read: tables, code, links.

use std::path::Path;

use crate::tree::{files, files_ending, read, root};

/// Rows of the table whose heading row holds `heading`, as cells.
pub(crate) fn table(text: &str, heading: &str) -> Vec<Vec<String>> {
    let is_heading = |line: &&str| line.starts_with('|') && cells(line).iter().any(|cell| cell == heading);
    let mut lines = text.lines().skip_while(|line| !is_heading(line));
    assert!(lines.next().is_some(), "there is no table with a column {heading:?}");
    lines.skip(1).take_while(|line| line.starts_with('|')).map(cells).collect()
}

fn cells(line: &str) -> Vec<String> {
    line.trim().trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
}

/// What stands between single backticks.
pub(crate) fn code_spans(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Every line of code of a page: lines of code blocks, and code spans.
pub(crate) fn code_lines(page: &str) -> Vec<String> {
    let (mut lines, mut in_block) = (Vec::new(), false);
    for line in page.lines() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        } else if in_block {
            lines.push(line.to_owned());
        } else {
            lines.extend(code_spans(line));
        }
    }
    lines
}

fn links(page: &str) -> Vec<String> {
    page.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0.to_owned())).collect()
}

/// The links of a page that lead to a file which is not there.
fn broken_links(folder: &Path, page: &str) -> Vec<String> {
    let is_file = |link: &String| !link.contains("://") && !link.starts_with('#') && !link.starts_with("mailto:");
    let leads_nowhere = |link: &String| {
        let path = link.split('#').next().unwrap_or_default();
        !folder.join(path).exists()
    };
    links(page).into_iter().filter(is_file).filter(leads_nowhere).collect()
}

#[test]
fn every_relative_link_leads_to_a_file() {
    let wrong: Vec<String> = files_ending("", ".md")
        .iter()
        .flat_map(|name| {
            let folder = root().join(name).parent().expect("a folder").to_owned();
            broken_links(&folder, &read(name)).into_iter().map(move |link| format!("{name}: {link}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_link_that_leads_nowhere_is_found() {
    let page = "[a](README.md) [b](README.md#there) [c](https://example.com/x) [d](#here) [e](no/such.md)";
    assert_eq!(broken_links(root(), page), ["no/such.md"]);
}

#[test]
fn every_decision_is_linked_from_the_list_of_decisions() {
    let linked = links(&read("docs/decisions/README.md"));
    for page in files("docs/decisions") {
        let name = page.trim_start_matches("docs/decisions/");
        assert!(name == "README.md" || linked.iter().any(|link| link == name), "{page} is not linked");
    }
}

#[test]
fn a_table_is_read_by_its_heading() {
    let text = "| a | b |\n|---|---|\n| 1 | 2 |\n\n| c | d |\n|---|---|\n| 3 | `4` |\nend";
    assert_eq!(table(text, "d"), [["3", "`4`"]]);
    assert_eq!(code_spans("x `4` y `5`"), ["4", "5"]);
}
