//! A webhook signed as OpenAI signs its own, by Standard Webhooks.

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::http::Post;
use super::message::Message;
use super::{NotSent, Unusable};
use crate::domain::secret::Secret;
use crate::domain::verify::{ID_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER, sign};

pub(super) struct Webhook {
    post: Post,
    secret: Secret,
}

impl Webhook {
    pub(super) fn new(url: &str, secret: Secret) -> Result<Webhook, Unusable> {
        Ok(Webhook { post: Post::new("webhook.url", url)?, secret })
    }

    pub(super) async fn send(&self, message: &Message) -> Result<(), NotSent> {
        let body = message.json().to_string();
        let headers = self.headers(message, &body).ok_or_else(|| NotSent("it could not be signed".to_owned()))?;
        self.post.send(headers, body).await
    }

    /// The id stays over all attempts; the time is that of this one, or a late
    /// attempt would be refused as too old.
    fn headers(&self, message: &Message, body: &str) -> Option<HeaderMap> {
        let timestamp_s = message.sent_at_ms.div_euclid(1000);
        let signature = sign(&self.secret, &message.id, timestamp_s, body.as_bytes())?;
        let mut headers = HeaderMap::new();
        for (name, value) in [
            (ID_HEADER, message.id.clone()),
            (TIMESTAMP_HEADER, timestamp_s.to_string()),
            (SIGNATURE_HEADER, signature),
        ] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_str(&value).ok()?);
        }
        Some(headers)
    }
}
