//! Who acts, and what a role may do.

/// What a person may do; each role may do all of the ones before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Read, decide reviews that the policy opens to agents, start one submission.
    Agent,
    /// Also escalated reviews, retry, discard, bulk, pause and resume.
    Lead,
    /// Everything there is.
    Admin,
}

impl Role {
    /// Every role, from the one that may do least.
    pub const ALL: [Role; 3] = [Role::Agent, Role::Lead, Role::Admin];

    /// The word used in the database, the API and the command line.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Role::Agent => "agent",
            Role::Lead => "lead",
            Role::Admin => "admin",
        }
    }

    /// The role with this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.word() == word)
    }
}

/// Somebody who acts. The name stands in the audit trail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// As the token or the command line names them.
    pub name: String,
    /// What they may do.
    pub role: Role,
}

impl Person {
    /// Whether they are one of `reviewers`: a role that theirs includes, or
    /// their own name. A list of names only is closed to everybody else.
    #[must_use]
    pub fn is_among(&self, reviewers: &[String]) -> bool {
        reviewers.iter().any(|who| match Role::parse(who) {
            Some(role) => self.role >= role,
            None => *who == self.name,
        })
    }
}

/// Longest name of somebody who signs in, in bytes.
const MAX_NAME_BYTES: usize = 64;

/// Whether somebody who signs in may be called so: letters, digits and `._-@+`,
/// and not like a role, because lists of reviewers hold both.
#[must_use]
pub fn valid_user_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-@+".contains(&byte);
    (1..=MAX_NAME_BYTES).contains(&name.len()) && name.bytes().all(fits) && Role::parse(name).is_none()
}

/// Whether a token may be called so.
#[must_use]
pub fn valid_token_name(name: &str) -> bool {
    !name.trim().is_empty() && name.chars().nth(100).is_none() && !name.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_word_and_no_role() {
        for name in ["lena", "lena.b@example.com", "L-1_x+y"] {
            assert!(valid_user_name(name), "{name}");
        }
        for name in ["", "lead", "le na", "<b>", "l\u{e9}na", &"x".repeat(65)] {
            assert!(!valid_user_name(name), "{name}");
        }
    }

    #[test]
    fn a_role_includes_the_ones_before_it_and_a_name_only_its_bearer() {
        let lena = Person { name: "lena".into(), role: Role::Lead };
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert!(lena.is_among(&list(&["agent"])) && lena.is_among(&list(&["lead"])) && lena.is_among(&list(&["lena"])));
        assert!(!lena.is_among(&list(&["admin"])) && !lena.is_among(&list(&["omar"])) && !lena.is_among(&[]));
    }
}
