//! A webhook as Slack has them; Mattermost and others take the same.

use reqwest::header::HeaderMap;
use serde_json::json;

use super::http::Post;
use super::message::Message;
use super::{NotSent, Unusable};

pub(super) struct Slack(Post);

impl Slack {
    pub(super) fn new(url: &str) -> Result<Slack, Unusable> {
        Ok(Slack(Post::new("slack.url", url)?))
    }

    pub(super) async fn send(&self, message: &Message) -> Result<(), NotSent> {
        self.0.send(HeaderMap::new(), json!({"text": text(message)}).to_string()).await
    }
}

fn text(message: &Message) -> String {
    let mut text = format!("*{}*", plain(&message.title()));
    for line in message.lines() {
        text.push('\n');
        text.push_str(&plain(&line));
    }
    text
}

/// Without what these programs read as markup, links or mentions.
fn plain(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '@' => safe.push_str("(at)"),
            '*' | '`' | '~' | '[' | ']' => safe.push(' '),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn nothing_in_a_text_can_ping_a_channel_or_be_a_link() {
        assert_eq!(plain("<!channel> @here [a](b) *x* R&D"), "&lt;!channel&gt; (at)here  a (b)  x  R&amp;D");
    }
}
