//! A webhook message on its way into the store.

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::event::Event;
use super::verify::Verified;

/// A delivery that may be stored. It is made from a [`Verified`] and from
/// nothing else: an unverified body cannot be stored, because that does not
/// type-check.
#[derive(Debug)]
pub struct NewDelivery {
    project: String,
    delivery_id: String,
    signed_at_ms: i64,
    secret_hint: String,
    body: Option<Bytes>,
    body_sha256: [u8; 32],
    event: Event,
    received_at_ms: i64,
    forget_at_ms: i64,
}

impl NewDelivery {
    /// Reads the event out of a verified message. `retention_ms` is how long
    /// the project's results live at OpenAI, counted from the event.
    #[must_use]
    pub fn read(project: &str, verified: Verified, received_at_ms: i64, retention_ms: i64) -> NewDelivery {
        let event = Event::read(verified.body());
        // An event from the future must not make its job the last in the queue.
        let ended_at_ms =
            event.created_at_s.map_or(received_at_ms, |s| s.saturating_mul(1000)).clamp(0, received_at_ms);
        NewDelivery {
            project: project.to_owned(),
            delivery_id: verified.delivery_id().to_owned(),
            signed_at_ms: verified.signed_at_s().saturating_mul(1000),
            secret_hint: verified.secret_hint().to_owned(),
            body_sha256: Sha256::digest(verified.body()).into(),
            body: Some(verified.into_body()),
            event,
            received_at_ms,
            forget_at_ms: ended_at_ms.saturating_add(retention_ms),
        }
    }

    /// The OpenAI project it came in for.
    #[must_use]
    pub fn project(&self) -> &str {
        &self.project
    }

    /// The `webhook-id` header.
    #[must_use]
    pub fn delivery_id(&self) -> &str {
        &self.delivery_id
    }

    /// The `webhook-timestamp` header, in ms.
    #[must_use]
    pub fn signed_at_ms(&self) -> i64 {
        self.signed_at_ms
    }

    /// Which secret matched, without revealing it.
    #[must_use]
    pub fn secret_hint(&self) -> &str {
        &self.secret_hint
    }

    /// The same without its body; the hash stays.
    #[must_use]
    pub fn without_body(self) -> NewDelivery {
        NewDelivery { body: None, ..self }
    }

    /// The bytes as they were signed, if they are to be kept.
    #[must_use]
    pub fn body(&self) -> Option<&[u8]> {
        self.body.as_deref()
    }

    /// SHA-256 of the body.
    #[must_use]
    pub fn body_sha256(&self) -> &[u8; 32] {
        &self.body_sha256
    }

    /// What the body says.
    #[must_use]
    pub fn event(&self) -> &Event {
        &self.event
    }

    /// When it came in, in ms.
    #[must_use]
    pub fn received_at_ms(&self) -> i64 {
        self.received_at_ms
    }

    /// The work to queue; none when the event cannot be used.
    #[must_use]
    pub fn job(&self) -> Option<NewJob<'_>> {
        if self.event.unusable.is_some() {
            return None;
        }
        let resource_id = self.event.resource_id.as_deref()?;
        let event_type = self.event.kind.as_deref()?;
        let key = match &self.event.id {
            Some(event_id) => format!("event/{event_id}"),
            None => format!("delivery/{}", self.delivery_id),
        };
        Some(NewJob { key, event_type, resource_id, forget_at_ms: self.forget_at_ms })
    }
}

/// A job to be queued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewJob<'a> {
    /// The work itself, as `event/evt_…`: the second gate.
    pub key: String,
    /// As `response.completed`.
    pub event_type: &'a str,
    /// The resource to fetch.
    pub resource_id: &'a str,
    /// When OpenAI may forget the result, in ms.
    pub forget_at_ms: i64,
}

/// What became of a delivery that was recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receipt {
    /// Stored, and its job is queued.
    Queued,
    /// Stored under a new webhook-id, but its event was known: no new job.
    KnownEvent,
    /// This webhook-id was known.
    Duplicate {
        /// It came with another body than the first time.
        altered: bool,
    },
    /// Stored without a job.
    Stored,
}
