//! Settings from the environment.

use super::{ConfigError, wrong};

/// Which variable goes where.
const VARIABLES: [(&str, Option<&str>, &str); 10] = [
    ("OPENAI_WEBHOOK_SECRET", Some("openai"), "webhook_secret"),
    ("OPENAI_API_KEY", Some("openai"), "api_key"),
    ("OPENAI_BASE_URL", Some("openai"), "base_url"),
    ("FRONTDESK_HELPDESK_TOKEN", Some("helpdesk"), "token"),
    ("FRONTDESK_HELPDESK_CLIENT_SECRET", Some("helpdesk"), "client_secret"),
    ("FRONTDESK_HELPDESK_WEBHOOK_SECRET", Some("helpdesk"), "webhook_secret"),
    ("DATABASE_URL", None, "database_url"),
    ("FRONTDESK_LISTEN", None, "listen"),
    ("FRONTDESK_LOG", Some("log"), "filter"),
    ("FRONTDESK_LOG_FORMAT", Some("log"), "format"),
];

/// Lays what the environment sets over the settings.
pub(super) fn lay_environment_over(
    table: &mut toml::Table,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<(), ConfigError> {
    for (variable, section, key) in VARIABLES {
        let Some(value) = from_environment(variable, env)? else { continue };
        let target = match section {
            None => &mut *table,
            Some(section) => match table.get_mut(section) {
                Some(toml::Value::Table(target)) => target,
                _ => return Err(wrong(format!("[{section}] must be a table"))),
            },
        };
        target.insert(key.to_owned(), toml::Value::String(value));
    }
    Ok(())
}

fn from_environment(variable: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Option<String>, ConfigError> {
    let file_variable = format!("{variable}_FILE");
    match (value_of(variable, env), value_of(&file_variable, env)) {
        (Some(_), Some(_)) => Err(wrong(format!("{variable} and {file_variable} are both set; keep one"))),
        (value, None) => Ok(value),
        (None, Some(path)) => {
            let text =
                std::fs::read_to_string(&path).map_err(|error| wrong(format!("{file_variable}: {path}: {error}")))?;
            match text.trim() {
                "" => Err(wrong(format!("{file_variable}: {path} is empty; write the value into it"))),
                text => Ok(Some(text.to_owned())),
            }
        }
    }
}

/// An empty variable is how compose files and unit files leave one unset.
fn value_of(variable: &str, env: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    env(variable).filter(|value| !value.trim().is_empty())
}
