//! The words: plain data and pure rules. Nothing here waits, fails on a
//! network, or knows a database.

pub mod alert;
pub mod batch;
pub mod claims;
pub mod custom;
pub mod decision;
pub mod delivery;
pub mod edits;
pub mod effect;
pub mod event;
pub mod failure;
pub mod hold;
pub mod id;
pub mod job;
pub mod measure;
pub mod output;
pub mod password;
pub mod permission;
pub mod person;
pub mod policy;
pub mod resource;
pub mod review;
pub mod secret;
pub mod submission;
pub mod ticket;
pub mod trail;
pub mod verify;
pub mod wait;
