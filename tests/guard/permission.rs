//! Nobody makes up leave to show a customer a text.

use crate::tree::{files_ending, read};

/// Files that may read a stored permission back: the store, and the place where it is defined.
fn may_recall(file: &str) -> bool {
    file.starts_with("src/store/") || file == "src/domain/permission.rs"
}

fn recalls(text: &str) -> bool {
    text.contains("Permission::recall") || text.contains("Permission as ") || text.contains("permission::*")
}

#[test]
fn a_stored_permission_is_read_back_only_in_the_store() {
    let files = files_ending("src", ".rs");
    let wrong: Vec<&String> = files.iter().filter(|file| !may_recall(file) && recalls(&read(file))).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(
        files.iter().any(|file| file.starts_with("src/store/") && recalls(&read(file))),
        "the rule finds its one user"
    );
}

#[test]
fn leave_is_given_only_by_a_review_and_by_the_policy() {
    let gives = |text: &str| ["Permission::of_person", "Permission::of_policy"].iter().any(|call| text.contains(call));
    let files = files_ending("src", ".rs");
    let is_test = |file: &str| file.ends_with("/tests.rs") || file.contains("/tests/");
    let giving: Vec<&String> = files.iter().filter(|file| !is_test(file) && gives(&read(file))).collect();
    assert_eq!(giving, ["src/domain/permission.rs", "src/domain/policy/decide.rs", "src/domain/review.rs"]);
}
