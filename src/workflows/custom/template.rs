//! `{{name}}` in a prompt, filled in from the team's own variables. Nothing of a
//! ticket ever comes in here.

use std::collections::BTreeMap;

/// The prompt with its placeholders filled in, once: what is filled in is not
/// looked at again.
pub(super) fn filled(prompt: &str, variables: &BTreeMap<String, String>) -> Result<String, String> {
    let mut parts = prompt.split("{{");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once("}}").ok_or("a placeholder that begins with {{ has no }}")?;
        let value = variables.get(name.trim()).ok_or_else(|| unknown(name.trim(), variables))?;
        text.push_str(value);
        text.push_str(rest);
    }
    Ok(text)
}

fn unknown(name: &str, variables: &BTreeMap<String, String>) -> String {
    let name: String = name.chars().take(64).collect();
    let known = match variables.is_empty() {
        true => "none".to_owned(),
        false => variables.keys().map(String::as_str).collect::<Vec<_>>().join(", "),
    };
    format!("the placeholder {{{{{name}}}}} is not among the workflow's variables; there are: {known}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_filled_in_once_and_only_from_the_variables() {
        let variables =
            BTreeMap::from([("shop".to_owned(), "Lamps & {{co}}".to_owned()), ("co".to_owned(), "x".to_owned())]);
        assert_eq!(filled("At {{shop}}, {{ co }}!", &variables), Ok("At Lamps & {{co}}, x!".to_owned()));
        assert_eq!(filled("{single} }}", &variables), Ok("{single} }}".to_owned()));
        let error = filled("{{ticket}}", &variables).expect_err("unknown");
        assert_eq!(error, "the placeholder {{ticket}} is not among the workflow's variables; there are: co, shop");
        assert!(filled("{{shop", &variables).is_err());
    }
}
