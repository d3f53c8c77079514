//! By whose leave a customer may see a text. A [`Reply`] cannot be made without
//! a [`Permission`], and a permission comes from two places only: a review that a
//! person approved, and the policy. What is stored is read back with
//! [`Permission::recall`], which only the store does (a test holds it to that).

use serde::Serialize;

/// Leave to show a customer a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permission(By);

#[derive(Debug, Clone, PartialEq, Eq)]
enum By {
    Person { name: String, review: String },
    Policy { version: i64 },
}

impl Permission {
    /// A person approved this review.
    pub(in crate::domain) fn of_person(name: &str, review: &str) -> Permission {
        Permission(By::Person { name: name.to_owned(), review: review.to_owned() })
    }

    /// The policy lets this workflow publish, and nothing spoke against it.
    pub(in crate::domain) fn of_policy(version: i64) -> Permission {
        Permission(By::Policy { version })
    }

    /// As it is stored: `person/rev_…/NAME` or `policy/7`.
    #[must_use]
    pub fn word(&self) -> String {
        match &self.0 {
            By::Person { name, review } => format!("person/{review}/{name}"),
            By::Policy { version } => format!("policy/{version}"),
        }
    }

    /// Reads a stored permission back. For the store alone.
    #[must_use]
    pub fn recall(word: &str) -> Option<Permission> {
        let mut parts = word.splitn(3, '/');
        match (parts.next()?, parts.next()?, parts.next()) {
            ("person", review, Some(name)) => Some(Permission::of_person(name, review)),
            ("policy", version, None) => version.parse().ok().map(Permission::of_policy),
            _ => None,
        }
    }

    /// The person who gave leave; none when the policy did.
    #[must_use]
    pub fn person(&self) -> Option<&str> {
        match &self.0 {
            By::Person { name, .. } => Some(name),
            By::Policy { .. } => None,
        }
    }

    /// Makes a text one that a customer may see.
    #[must_use]
    pub fn reply(self, text: String) -> Reply {
        Reply { text, permission: self }
    }
}

/// A text that a customer may see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reply {
    text: String,
    #[serde(skip)]
    permission: Permission,
}

impl Reply {
    /// The words.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// By whose leave.
    #[must_use]
    pub fn permission(&self) -> &Permission {
        &self.permission
    }
}

#[cfg(test)]
mod tests {
    use super::Permission;

    #[test]
    fn a_permission_is_read_back_as_it_was_stored_and_nothing_else_is_one() {
        for permission in [Permission::of_person("lena/x", "rev_1"), Permission::of_policy(7)] {
            assert_eq!(Permission::recall(&permission.word()), Some(permission));
        }
        for word in ["", "person", "person/rev_1", "policy/x", "policy/7/8", "anyone/rev_1/lena"] {
            assert_eq!(Permission::recall(word), None, "{word}");
        }
    }
}
