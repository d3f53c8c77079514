//! Reading from OpenAI: a client with a base URL, and open types that no new
//! value, item or field can break.

mod batches;
mod chat;
pub mod client;
pub mod error;
mod files;
mod headers;
mod lenient;
pub mod lines;
mod probe;
pub mod read;
mod split;
mod tools;
mod types;

pub use batches::NewBatch;
pub use client::{Client, Fetched, Settings};
pub use error::{CreateError, OpenAiError};
pub use files::Lines;
pub use lines::Line;
pub use probe::{Endpoint, Probe};
pub use split::RawLine;
