//! Finding and reading the files of the repository.

use std::path::{Path, PathBuf};

/// Folders that hold nothing of ours.
const NOT_OURS: [&str; 7] = [".git", ".cache", "target", "node_modules", "__pycache__", ".venv", ".idea"];

/// The root of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The text of a file, named from the root.
pub(crate) fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Every text file under `folder`, named from the root, sorted.
pub(crate) fn files(folder: &str) -> Vec<String> {
    let mut found = Vec::new();
    walk(&root().join(folder), &mut found);
    let mut names: Vec<String> =
        found.iter().filter_map(|path| Some(path.strip_prefix(root()).ok()?.to_str()?.replace('\\', "/"))).collect();
    names.sort();
    names
}

/// Every file under `folder` whose name ends so.
pub(crate) fn files_ending(folder: &str, ending: &str) -> Vec<String> {
    files(folder).into_iter().filter(|name| name.ends_with(ending)).collect()
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries.map(|entry| entry.expect("an entry")) {
        let (path, name) = (entry.path(), entry.file_name());
        if NOT_OURS.iter().any(|not_ours| name == *not_ours) {
            continue;
        }
        let kind = entry.file_type().expect("a kind of file");
        if kind.is_dir() {
            walk(&path, found);
        } else if kind.is_file() && std::fs::read_to_string(&path).is_ok() {
            found.push(path);
        }
    }
}
