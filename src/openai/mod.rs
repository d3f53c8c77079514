//! Reading from OpenAI: a client with a base URL, and open types that no new
//! value, item or field can break.

pub mod client;
pub mod error;
pub mod read;
mod headers;
mod tools;
mod types;
