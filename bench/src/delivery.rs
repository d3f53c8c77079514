//! Signed webhook deliveries, each with an id of its own, in the shape OpenAI sends.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::clock;

/// The key behind `SECRET`.
pub const KEY: &[u8] = b"frontdesk-benchmark-signing-key!";

/// The secret every stack in the benchmark is given.
pub fn secret() -> String {
    format!("whsec_{}", STANDARD.encode(KEY))
}

/// Makes deliveries: `response.completed` for made responses about a row of tickets, `T-1` first unless told.
pub struct Deliveries {
    key: Hmac<Sha256>,
    salt: u64,
    before: u64,
    earlier: u64,
    tickets: u64,
    next: AtomicU64,
}

/// One delivery: what is signed and the signature.
pub struct Delivery {
    /// `webhook-id`.
    pub id: String,
    /// `webhook-timestamp`.
    pub timestamp: u64,
    /// `webhook-signature`.
    pub signature: String,
    /// `event.id`.
    pub event_id: String,
    /// The response that is ready.
    pub resource_id: String,
    /// The body, as signed.
    pub body: String,
}

impl Deliveries {
    /// A source of deliveries; `salt` keeps its ids apart from other sources'.
    pub fn new(salt: u64, tickets: u64) -> Self {
        #[allow(clippy::expect_used, reason = "HMAC takes a key of any length")]
        let key = Hmac::new_from_slice(KEY).expect("any length");
        Deliveries { key, salt, before: 0, earlier: 0, tickets, next: AtomicU64::new(0) }
    }

    /// The same for the tickets after the first `before`.
    pub fn after(self, before: u64) -> Self {
        Deliveries { before, ..self }
    }

    /// The same with events that OpenAI made so many seconds before it told of them.
    pub fn made_before(self, earlier: u64) -> Self {
        Deliveries { earlier, ..self }
    }

    /// The number of the next delivery: 0, 1, 2, …
    pub fn draw(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// The ticket that delivery `number` is about.
    pub fn ticket(&self, number: u64) -> String {
        format!("T-{}", self.before + number % self.tickets + 1)
    }

    /// Delivery `number`, signed now.
    pub fn make(&self, number: u64) -> Delivery {
        self.tell(number, "response.completed", format!("resp_made_summary_{}", self.ticket(number)))
    }

    /// Delivery `number`, of an event of that type about that resource.
    fn tell(&self, number: u64, event_type: &str, resource_id: String) -> Delivery {
        let timestamp = clock::unix_seconds();
        // Real ids begin with the time of minting and go on at random: so do these, which gives
        // an index the insertion pattern it will meet.
        let tail = format!("{timestamp:08x}{:016x}{number:08x}", mix(number ^ self.salt));
        let (id, event_id) = (format!("wh_{tail}"), format!("evt_{tail}"));
        let made_at = timestamp - self.earlier;
        let body = format!(
            r#"{{"id": "{event_id}", "object": "event", "created_at": {made_at}, "type": "{event_type}", "data": {{"id": "{resource_id}"}}}}"#
        );
        let signature = self.sign(&id, timestamp, &body);
        Delivery { id, timestamp, signature, event_id, resource_id, body }
    }

    /// Delivery `number` as a request to `address`.
    pub fn request(&self, number: u64, address: SocketAddr) -> Vec<u8> {
        self.make(number).request(address)
    }

    /// That a batch is complete, as a request to `address`.
    pub fn batch(&self, resource_id: &str, address: SocketAddr) -> Vec<u8> {
        self.tell(self.draw(), "batch.completed", resource_id.to_owned()).request(address)
    }

    fn sign(&self, id: &str, timestamp: u64, body: &str) -> String {
        let mut mac = self.key.clone();
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body.as_bytes());
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

impl Delivery {
    fn request(&self, address: SocketAddr) -> Vec<u8> {
        format!(
            "POST /webhooks/openai HTTP/1.1\r\nhost: {address}\r\nuser-agent: OpenAI/1.0 (+https://platform.openai.com/docs/webhooks)\r\n\
             accept: */*\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
             webhook-id: {}\r\nwebhook-timestamp: {}\r\nwebhook-signature: {}\r\n\r\n{}",
            self.body.len(),
            self.id,
            self.timestamp,
            self.signature,
            self.body
        )
        .into_bytes()
    }
}

/// Whether a signature is right: what the verifying limit does for each request.
pub fn verify(key: &Hmac<Sha256>, id: &[u8], timestamp: &[u8], signature: &[u8], body: &[u8]) -> bool {
    let Some(encoded) = signature.strip_prefix(b"v1,") else {
        return false;
    };
    let Ok(given) = STANDARD.decode(encoded) else {
        return false;
    };
    let mut mac = key.clone();
    for part in [id, b".", timestamp, b".", body] {
        mac.update(part);
    }
    mac.verify_slice(&given).is_ok()
}

/// A bijection of the 64-bit numbers that looks random (splitmix64).
pub fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_verifies_and_a_changed_one_does_not() {
        let delivery = Deliveries::new(7, 10).make(12);
        let key = Hmac::new_from_slice(KEY).unwrap();
        let timestamp = delivery.timestamp.to_string();
        let check = |body: &str| {
            verify(&key, delivery.id.as_bytes(), timestamp.as_bytes(), delivery.signature.as_bytes(), body.as_bytes())
        };
        assert!(check(&delivery.body));
        assert!(!check(&delivery.body.replace("T-3", "T-4")));
        assert_eq!(delivery.resource_id, "resp_made_summary_T-3");
    }

    #[test]
    fn two_numbers_never_share_an_id() {
        let source = Deliveries::new(7, 10);
        assert_ne!(source.make(1).id, source.make(11).id);
    }

    #[test]
    fn a_batch_is_told_of_by_its_id_and_responses_may_spare_its_tickets() {
        let source = Deliveries::new(7, 10).after(50);
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        let told = String::from_utf8(source.batch("batch_1", address)).unwrap();
        assert!(told.contains(r#""type": "batch.completed", "data": {"id": "batch_1"}"#));
        assert_eq!((source.ticket(0), source.ticket(19)), ("T-51".to_owned(), "T-60".to_owned()));
    }
}
