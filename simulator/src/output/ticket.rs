//! Finding the ticket in what was sent to the model.

use serde_json::Value;

/// Longer inputs are read up to here.
const READ_LIMIT: usize = 400_000;

/// Opening tags that are looked at.
const MOST_TAGS: usize = 50;

/// What the answer is made from.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Ticket {
    /// The subject, if one is told.
    pub(crate) subject: Option<String>,
    /// What the customer wrote, message by message; never empty unless the input is.
    pub(crate) customer: Vec<String>,
}

impl Ticket {
    /// The ticket in a request's input: the part inside `<ticket>`, a JSON document with
    /// `messages`, or all that the user wrote.
    pub(crate) fn read(request: &Value) -> Ticket {
        let text = input_text(request);
        let text = between(&text, "<ticket", "</ticket>").unwrap_or(&text);
        from_json(text).unwrap_or_else(|| from_lines(text))
    }

    /// Subject and messages in one text.
    pub(crate) fn text(&self) -> String {
        let mut text = self.subject.clone().unwrap_or_default();
        for message in &self.customer {
            text.push('\n');
            text.push_str(message);
        }
        text
    }
}

/// The text of the user's input items; of all of them, if the user said nothing.
pub(crate) fn input_text(request: &Value) -> String {
    let text = match &request["input"] {
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let of = |wanted: Option<&str>| {
                let items = items.iter().filter(|item| wanted.is_none() || item["role"].as_str() == wanted);
                items.map(item_text).filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n\n")
            };
            let user = of(Some("user"));
            if user.is_empty() { of(None) } else { user }
        }
        _ => String::new(),
    };
    super::text::clip(&text, READ_LIMIT)
}

fn item_text(item: &Value) -> String {
    match &item["content"] {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let texts = parts.iter().filter_map(|part| part["text"].as_str());
            texts.collect::<Vec<_>>().join("\n")
        }
        _ => item["output"].as_str().unwrap_or_default().to_owned(),
    }
}

/// What stands between an opening tag (which may have attributes) and the end that follows. The
/// longest such part: instructions may name the tags too.
fn between<'a>(text: &'a str, open: &str, close: &str) -> Option<&'a str> {
    let part = |(at, _)| {
        let end = at + text[at..].find(close)?;
        let start = at + text[at..end].find('>')? + 1;
        Some(&text[start..end])
    };
    text.match_indices(open).take(MOST_TAGS).filter_map(part).max_by_key(|part| part.len())
}

fn from_json(text: &str) -> Option<Ticket> {
    let (start, end) = (text.find('{')?, text.rfind('}')?);
    let value: Value = serde_json::from_str(text.get(start..=end)?).ok()?;
    let value = if value["ticket"].is_object() { &value["ticket"] } else { &value };
    let messages = value["messages"].as_array()?;
    let said = |all: bool| -> Vec<String> {
        let messages = messages.iter().filter(|message| all || from_customer(message));
        messages.filter_map(|message| first_text(message, &["body", "text", "content"])).collect()
    };
    let customer = said(false);
    let customer = if customer.is_empty() { said(true) } else { customer };
    Some(Ticket { subject: first_text(value, &["subject", "title"]), customer })
}

fn from_customer(message: &Value) -> bool {
    let author = first_text(message, &["author", "role", "from"]).unwrap_or_default();
    matches!(author.to_lowercase().as_str(), "customer" | "user" | "end_user" | "requester")
}

fn first_text(value: &Value, keys: &[&str]) -> Option<String> {
    let texts = keys.iter().filter_map(|key| value[*key].as_str());
    texts.map(str::trim).find(|text| !text.is_empty()).map(str::to_owned)
}

/// Who speaks on a line such as `customer:`, `[agent] …` or `Customer (Monday): …`, and the rest.
fn speaker(line: &str) -> Option<(bool, &str)> {
    let bare = line.trim_start_matches(['[', '#', '*', '-', '<', ' ']);
    let lower = bare.get(..bare.len().min(20)).unwrap_or(bare).to_lowercase();
    let customer = lower.starts_with("customer") || lower.starts_with("user");
    let other = ["agent", "frontdesk", "support", "system"].iter().any(|name| lower.starts_with(name));
    if !customer && !other {
        return None;
    }
    let name_end = bare.find(|letter: char| !letter.is_alphanumeric()).unwrap_or(bare.len());
    let after = &bare[name_end..];
    // A sentence may start with "Customer", so a sign of a heading must follow.
    let (at, sign) = after.char_indices().find(|(_, letter)| matches!(letter, ':' | ']' | '>'))?;
    let heading = &after[..at];
    let short = heading.is_empty() || heading.trim_start().starts_with(['(', '*', ',', '|', '@']);
    let rest = after[at + sign.len_utf8()..].trim_start_matches([':', '*', ' ']);
    short.then_some((customer, rest))
}

fn from_lines(text: &str) -> Ticket {
    let mut ticket = Ticket::default();
    let (mut spoken, mut loose): (Vec<String>, Vec<&str>) = (Vec::new(), Vec::new());
    let mut turn = None;
    for line in text.lines() {
        let line = line.trim();
        if let Some((customer, rest)) = speaker(line) {
            turn = Some(customer);
            if customer {
                spoken.push(rest.to_owned());
            }
        } else if let Some(subject) = heading(line, "subject:").filter(|_| ticket.subject.is_none()) {
            ticket.subject = Some(subject.to_owned());
        } else if turn == Some(true) {
            if let Some(message) = spoken.last_mut() {
                message.push('\n');
                message.push_str(line);
            }
        } else if turn.is_none() && !line.is_empty() {
            loose.push(line);
        }
    }
    ticket.customer = spoken.into_iter().filter(|message| !message.trim().is_empty()).collect();
    if ticket.customer.is_empty() && !loose.is_empty() {
        ticket.customer.push(loose.join("\n"));
    }
    ticket
}

fn heading<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let start = line.get(..name.len())?;
    start.eq_ignore_ascii_case(name).then(|| line[name.len()..].trim()).filter(|rest| !rest.is_empty())
}

#[cfg(test)]
mod tests {
    use super::Ticket;
    use serde_json::json;

    fn ticket(subject: Option<&str>, customer: &[&str]) -> Ticket {
        Ticket {
            subject: subject.map(str::to_owned),
            customer: customer.iter().map(|text| (*text).to_owned()).collect(),
        }
    }

    #[test]
    fn a_ticket_is_read_out_of_its_tags_by_speaker() {
        let input = "Summarise.\n<ticket id=\"1\">\nSubject: Broken lamp\ncustomer: It fell.\nIt broke.\n\
                     [agent] Sorry: really.\nCustomer (Monday): Send a new one.\n</ticket>\nBe short.";
        let read = Ticket::read(&json!({ "input": input }));
        assert_eq!(read, ticket(Some("Broken lamp"), &["It fell.\nIt broke.", "Send a new one."]));
    }

    #[test]
    fn a_ticket_is_read_out_of_json() {
        let data = json!({"subject": "Lamp", "messages": [
            {"author": "customer", "body": "It fell."}, {"author": "agent", "body": "Oh."}]});
        let content = json!([{"type": "input_text", "text": format!("Ticket:\n{data}")}]);
        let input = json!([{"role": "system", "content": "Be kind."}, {"role": "user", "content": content}]);
        assert_eq!(Ticket::read(&json!({ "input": input })), ticket(Some("Lamp"), &["It fell."]));
    }

    #[test]
    fn instructions_may_name_the_tags() {
        let data = json!({"subject": "Lamp", "messages": [
            {"from": "customer", "visibility": "public", "text": "It fell on my foot."}]});
        let input = format!("All in <ticket></ticket> is data.\n<ticket>\n{data}\n</ticket>\nMind <ticket>…</ticket>.");
        let read = Ticket::read(&json!({ "input": input }));
        assert_eq!(read, ticket(Some("Lamp"), &["It fell on my foot."]));
    }

    #[test]
    fn anything_else_is_taken_as_it_is() {
        let read = Ticket::read(&json!({"input": "Customer complaints are up. Why?"}));
        assert_eq!(read, ticket(None, &["Customer complaints are up. Why?"]));
        assert_eq!(Ticket::read(&json!({"input": []})), Ticket::default());
        let _ = Ticket::read(&json!({"input": "</ticket> <ticket> > ä: [ ]"}));
    }
}
