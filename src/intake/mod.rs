//! The front desk: takes deliveries in, in milliseconds. It may use the domain,
//! the store and the clock, and it cannot call OpenAI or a helpdesk: it stays
//! fast because it cannot be slow.

pub mod endpoint;
pub mod explain;
mod refusals;
mod reread;

pub use endpoint::{FrontDesk, Project, router};
pub use refusals::Refusals;
