//! `[alerts]`: where alerts are told, and how often.

use std::path::PathBuf;

use serde::Deserialize;

use super::{ConfigError, Hidden, Wait, wrong};

/// Where alerts are told.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "each is explained in config.example.toml")]
pub struct Alerts {
    pub remind: Remind,
    pub email: Option<Email>,
    pub slack: Option<Slack>,
    pub webhook: Option<Webhook>,
}

/// How long after it was told an open alert is told again; none: never.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remind(pub Option<Wait>);

impl<'de> Deserialize<'de> for Remind {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Remind, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "0" {
            return Ok(Remind(None));
        }
        Wait::parse(&text).map(|wait| Remind(Some(wait))).ok_or_else(|| {
            serde::de::Error::custom("a length of time is a number and a unit, as \"4h\"; \"0\" is never")
        })
    }
}

/// Mail over SMTP.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "each is explained in config.example.toml")]
pub struct Email {
    pub smtp: String,
    pub username: Option<String>,
    pub password: Option<Hidden>,
    pub password_file: Option<PathBuf>,
    pub from: String,
    pub to: Vec<String>,
}

/// A webhook that takes `{"text": …}`. Its address is a secret.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "each is explained in config.example.toml")]
pub struct Slack {
    pub url: Option<Hidden>,
    pub url_file: Option<PathBuf>,
}

/// A signed webhook.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "each is explained in config.example.toml")]
pub struct Webhook {
    pub url: String,
    pub secret: Option<Hidden>,
    pub secret_file: Option<PathBuf>,
}

impl Alerts {
    /// What can be said without looking into the files that are named.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        const MINUTE_MS: i64 = 60_000;
        if self.remind.0.is_some_and(|wait| wait.ms() < MINUTE_MS) {
            return Err(wrong("alerts.remind must be at least a minute, or \"0\" for never"));
        }
        match &self.email {
            Some(email) if email.to.is_empty() => Err(wrong("alerts.email.to names nobody")),
            Some(Email { username: None, password, password_file, .. })
                if password.is_some() || password_file.is_some() =>
            {
                Err(wrong("alerts.email.username is missing; a password is of no use without it"))
            }
            _ => Ok(()),
        }
    }
}

impl Email {
    /// The name and password to sign in with, if there are any.
    ///
    /// # Errors
    /// When the password's file cannot be read, or there is a name and no password.
    pub fn credentials(&self) -> Result<Option<(String, String)>, ConfigError> {
        let Some(username) = &self.username else { return Ok(None) };
        let password = one_of(self.password.as_ref(), self.password_file.as_ref(), "alerts.email.password")?;
        Ok(Some((username.clone(), password)))
    }
}

impl Slack {
    /// The address.
    ///
    /// # Errors
    /// When it is missing, or its file cannot be read.
    pub fn address(&self) -> Result<String, ConfigError> {
        one_of(self.url.as_ref(), self.url_file.as_ref(), "alerts.slack.url")
    }
}

impl Webhook {
    /// The signing secret, as `whsec_…`.
    ///
    /// # Errors
    /// When it is missing, or its file cannot be read.
    pub fn signing_secret(&self) -> Result<String, ConfigError> {
        one_of(self.secret.as_ref(), self.secret_file.as_ref(), "alerts.webhook.secret")
    }
}

/// A secret that is written down here, or in a file.
fn one_of(value: Option<&Hidden>, file: Option<&PathBuf>, name: &str) -> Result<String, ConfigError> {
    match (value, file) {
        (Some(_), Some(_)) => Err(wrong(format!("{name} and {name}_file are both set; keep one"))),
        (None, None) => Err(wrong(format!("{name} is missing; set it, or {name}_file"))),
        (Some(value), None) => Ok(value.reveal().to_owned()),
        (None, Some(path)) => {
            let text = std::fs::read_to_string(path)
                .map_err(|error| wrong(format!("{name}_file: {}: {error}", path.display())))?;
            match text.trim() {
                "" => Err(wrong(format!("{name}_file: {} is empty; write the value into it", path.display()))),
                text => Ok(text.to_owned()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alerts(text: &str) -> Alerts {
        toml::from_str(text).expect("loads")
    }

    #[test]
    fn a_secret_stands_in_the_settings_or_in_a_file_and_not_in_both() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), "https://example.com/hook\n").expect("written");
        let path = file.path().display();
        let slack = |lines: &str| alerts(&format!("remind = \"4h\"\n[slack]\n{lines}")).slack.expect("there").address();
        let here = "url = \"https://example.com/hook\"\n".to_owned();
        let there = format!("url_file = \"{path}\"\n");
        assert_eq!(slack(&here), slack(&there));
        for wrong in [format!("{here}{there}"), String::new(), "url_file = \"/nowhere/at/all\"\n".to_owned()] {
            let error = slack(&wrong).expect_err(&wrong).to_string();
            assert!(error.starts_with("alerts.slack.url") && !error.contains("example.com"), "{error}");
        }
        std::fs::write(file.path(), " \n").expect("written");
        assert!(slack(&there).expect_err("empty").to_string().contains("is empty"));
    }

    #[test]
    fn a_zero_reminds_never_and_a_password_needs_a_name() {
        assert_eq!(alerts("remind = \"0\"").remind, Remind(None));
        let mail = "remind = \"4h\"\n[email]\nsmtp = \"smtp://localhost\"\nfrom = \"a@example.com\"\n";
        let check = |lines: &str| alerts(&format!("{mail}{lines}")).check();
        assert_eq!(check("to = [\"b@example.com\"]\n"), Ok(()));
        assert!(check("to = []\n").is_err());
        assert!(check("to = [\"b@example.com\"]\npassword = \"x\"\n").is_err());
        assert_eq!(check("to = [\"b@example.com\"]\nusername = \"u\"\npassword = \"x\"\n"), Ok(()));
    }
}
