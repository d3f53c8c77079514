//! Frontdesk: the system between OpenAI's webhooks and the support ticket.
pub mod clock;
pub mod domain;
pub mod intake;
pub mod store;
