//! What the back office makes of each ending, and of an OpenAI that fails.

mod deciding;
mod endings;
mod forgetting;
mod order;
mod placing;
mod policy;
mod pool;
mod privacy;
mod reconcile;
mod refused;
mod retrying;
mod why;
mod workflows;
