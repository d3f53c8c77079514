//! Frontdesk: the system between OpenAI's webhooks and the support ticket.
pub mod domain;
pub mod intake;
pub mod openai;
