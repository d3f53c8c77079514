//! Reading from OpenAI: a client with a base URL, and open types that no new
//! value, item or field can break.

pub mod client;
pub mod error;
mod headers;
mod lenient;
mod probe;
pub mod read;
mod tools;
mod types;

pub use client::{Client, Fetched, Settings};
pub use error::{CreateError, OpenAiError};
pub use probe::{Endpoint, Probe};
