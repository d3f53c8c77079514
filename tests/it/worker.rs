//! What the back office makes of each ending, and of an OpenAI that fails.

mod again;
pub mod batches;
pub mod building;
pub mod deciding;
mod endings;
mod forgetting;
mod leave;
mod order;
mod pausing;
mod placing;
mod policy;
mod pool;
mod privacy;
mod reconcile;
mod refused;
mod restored;
mod retrying;
mod schedules;
mod why;
mod workflows;
