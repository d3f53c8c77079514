//! The words: plain data and pure rules. Nothing here waits, fails on a
//! network, or knows a database.

pub mod failure;
pub mod hold;
pub mod output;
pub mod resource;
pub mod secret;
pub mod verify;
