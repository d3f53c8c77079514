//! The text of a statement, as PostgreSQL wants it.

/// `?1` becomes `$1`, and what SQLite is told about its indexes is left out.
/// What stands between quotes stays as it is.
pub(super) fn for_postgres(sql: &str) -> String {
    let mut text = String::with_capacity(sql.len());
    for (number, part) in sql.split('\'').enumerate() {
        if number > 0 {
            text.push('\'');
        }
        // Every second part is a literal; a doubled quote is an empty part between two.
        if number % 2 == 1 { text.push_str(part) } else { text.push_str(&without_hints(part).replace('?', "$")) }
    }
    text
}

fn without_hints(part: &str) -> String {
    const HINT: &str = "INDEXED BY ";
    let mut left = String::with_capacity(part.len());
    let mut rest = part;
    while let Some(at) = rest.find(HINT) {
        left.push_str(&rest[..at]);
        rest =
            rest[at + HINT.len()..].trim_start_matches(|letter: char| letter.is_ascii_alphanumeric() || letter == '_');
    }
    left.push_str(rest);
    left
}

#[cfg(test)]
mod tests {
    use super::for_postgres;

    #[test]
    fn parameters_are_numbered_the_other_way() {
        assert_eq!(for_postgres("SELECT ?1 || '?2' || ?12"), "SELECT $1 || '?2' || $12");
        assert_eq!(for_postgres("SELECT 'it''s ?1', ?1"), "SELECT 'it''s ?1', $1");
    }

    #[test]
    fn hints_are_left_out() {
        assert_eq!(
            for_postgres("SELECT 1 FROM jobs INDEXED BY jobs_due WHERE a = ?1"),
            "SELECT 1 FROM jobs  WHERE a = $1"
        );
    }
}
