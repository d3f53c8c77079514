//! Where in the file a setting stands that cannot be used, and what may be said
//! of it: never its value, which may be a secret.

use std::path::Path;

use serde::Deserialize as _;

use super::{Config, EXAMPLE, lay_over};

/// The first setting of the file that spoils the defaults when only it is laid over them.
pub(super) fn first_wrong(table: &toml::Table) -> Option<(String, toml::de::Error)> {
    let (mut path, error) = wrong_below(table, &[])?;
    // An unknown section is told as such, not by what is in it.
    let is_unknown = |name: &String| error.message().contains(&format!("unknown field `{name}`"));
    if let Some(at) = path.iter().rposition(is_unknown) {
        path.truncate(at + 1);
    }
    Some((path.join("."), error))
}

fn wrong_below(table: &toml::Table, path: &[String]) -> Option<(Vec<String>, toml::de::Error)> {
    table.iter().find_map(|(key, value)| {
        let path = [path, std::slice::from_ref(key)].concat();
        let error = alone(&path, value)?;
        let deeper = value.as_table().and_then(|below| wrong_below(below, &path));
        Some(deeper.unwrap_or((path, error)))
    })
}

fn alone(path: &[String], value: &toml::Value) -> Option<toml::de::Error> {
    let nest = |value, key: &String| toml::Value::Table(toml::Table::from_iter([(key.clone(), value)]));
    let mut whole: toml::Table = EXAMPLE.parse().ok()?;
    if let toml::Value::Table(over) = path.iter().rev().fold(value.clone(), nest) {
        lay_over(&mut whole, over);
    }
    Config::deserialize(whole).err()
}

/// A rule that names its setting first, with the place in the file where that is set.
pub(super) fn place_in(file: Option<&Path>, rule: &str) -> String {
    let place = file.and_then(|path| {
        let text = std::fs::read_to_string(path).ok()?;
        let line = line_of(&text, rule.split(' ').next()?);
        (!line.is_empty()).then(|| format!("{}{line}: ", path.display()))
    });
    place.unwrap_or_default() + rule
}

/// File, line and message; never the line itself, which may hold a secret.
pub(super) fn at(path: &Path, text: &str, error: &toml::de::Error) -> String {
    let line = error.span().map_or(0, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
    format!("{}:{line}: {}", path.display(), error.message())
}

/// Where `section.key`, `section` or `key` stands; nothing when it is written in an unusual way.
fn line_of(text: &str, setting: &str) -> String {
    let mut section = String::new();
    let found = text.lines().position(|line| {
        let line = line.trim();
        if let Some(header) = line.strip_prefix('[') {
            section = header.split(']').next().unwrap_or_default().trim().to_owned();
            return section == setting;
        }
        let Some((key, _)) = line.split_once('=') else { return false };
        let key = key.trim();
        setting == if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") }
    });
    found.map_or_else(String::new, |index| format!(":{}", index + 1))
}

/// The message without the value: it may be a secret.
pub(super) fn explain(message: &str) -> String {
    let mut text = message.lines().next().unwrap_or(message).to_owned();
    if let (true, Some(from), Some(to)) = (text.starts_with("invalid "), text.find(" `"), text.rfind('`')) {
        text.replace_range(from..=to, "");
    }
    if message.contains("unknown field") {
        text.push_str("; `frontdesk config example` lists every setting");
    }
    text
}

/// Where a setting stands in a file, as the begin of a message.
pub(super) fn place_near(file: &Path, setting: &str) -> Option<String> {
    let line = line_near(&std::fs::read_to_string(file).ok()?, setting);
    (!line.is_empty()).then(|| format!("{}{line}: ", file.display()))
}

/// Where a setting stands, or else the section it is in.
pub(super) fn line_near(text: &str, setting: &str) -> String {
    let ends = setting.match_indices('.').map(|(at, _)| at).chain([setting.len()]).collect::<Vec<_>>();
    let lines = ends.into_iter().rev().map(|end| line_of(text, &setting[..end]));
    lines.into_iter().find(|line| !line.is_empty()).unwrap_or_default()
}
