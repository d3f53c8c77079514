//! Batches in the back office: building them, reading what comes back, applying
//! it line by line, and putting it back.

mod build;
mod line;
mod lines;
mod pick;
mod read;
mod send;
mod undo;

pub use build::Limits;
