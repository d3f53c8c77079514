//! A stand-in for OpenAI: background responses, batches, files, signed webhooks, and faults on
//! demand. The same seed and the same requests give the same outputs, ids and faults.
//!
//! ```no_run
//! use frontdesk_simulator::{Settings, Simulator};
//!
//! # async fn run() -> Result<(), frontdesk_simulator::StartError> {
//! let simulator = Simulator::start(Settings::default()).await?;
//! println!("OPENAI_BASE_URL={}", simulator.base_url());
//! simulator.idle().await;
//! simulator.shutdown().await;
//! # Ok(())
//! # }
//! ```

mod api;
mod batch;
mod chance;
mod clock;
pub mod event;
mod fault;
mod files;
mod logs;
mod made;
mod output;
mod plan;
mod server;
mod settings;
mod shelf;
pub mod signing;
mod simulator;
mod state;
mod sync;
pub mod trigger;
mod webhooks;
mod wire;
mod work;

pub use fault::{Fault, UnknownFault};
pub use logs::{DeliveryLog, RequestLog};
pub use settings::{Access, DEMO_SECRET, Scripted, Settings, StartError};
pub use simulator::Simulator;
