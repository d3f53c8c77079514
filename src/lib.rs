//! Frontdesk: the system between OpenAI's webhooks and the support ticket.
//!
//! ```text
//! bytes ─verify→ Verified ─read→ NewDelivery ─record→ Receipt → 200
//! ClaimedJob ─retrieve→ Resource ─place→ ticket, workflow ─decide→ Decision ─apply→ receipts ─settle→ (consumed)
//! ```
//!
//! | module | what |
//! |---|---|
//! | [`domain`] | the words: plain data and pure rules |
//! | [`intake`] | the front desk: verify, store, answer; milliseconds |
//! | [`worker`] | the back office: a file for each step |
//! | [`workflows`] | what AI is used for: one pure file each |
//! | [`submit`] | starting work at OpenAI |
//! | [`openai`] | reading from OpenAI |
//! | [`helpdesk`] | writing to tickets |
//! | [`hooks`] | what a helpdesk tells us, and the work that it starts |
//! | [`notify`] | telling people of alerts |
//! | [`store`] | what we remember |
//! | [`trial`] | trying a policy without changing anything |
//! | [`doctor`] | the production checklist, checked |
//! | [`operators`] | what operators do to many things at once |
//! | [`web`] | what people and programs see |
//! | [`cli`] | one file a command |
//! | [`app`] | the one place that builds everything |

pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod console;
pub mod doctor;
pub mod domain;
pub mod helpdesk;
pub mod hooks;
pub mod http;
pub mod intake;
pub mod node;
pub mod notify;
pub mod openai;
pub mod operators;
pub mod people;
pub mod shapes;
pub mod store;
pub mod submit;
pub mod telemetry;
pub mod tls;
pub mod trial;
pub mod web;
pub mod worker;
pub mod workflows;
