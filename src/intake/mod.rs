//! The front desk: takes deliveries in, in milliseconds.

pub mod explain;
mod reread;
