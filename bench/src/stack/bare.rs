//! Limits over HTTP: a receiver that only reads the body, and one that also verifies it. Neither
//! remembers anything; no durable receiver on this HTTP library can be faster.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;
use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use bytes::Bytes;
use clap::ValueEnum;
use hmac::{Hmac, KeyInit};
use sha2::Sha256;

use super::Receiver;
use crate::delivery;
use crate::process::{Component, Process, free_address};
use crate::results::System;

/// What a bare receiver does with a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Reads the body.
    Read,
    /// Reads the body and verifies its signature.
    Verify,
}

/// A bare receiver in a process of its own.
pub struct Bare {
    kind: Kind,
    address: SocketAddr,
    folder: PathBuf,
    process: Option<Process>,
}

impl Bare {
    /// Not started yet.
    pub fn new(kind: Kind, folder: PathBuf) -> Result<Self> {
        let address = free_address()?;
        Ok(Bare { kind, address, folder, process: None })
    }
}

impl Receiver for Bare {
    fn system(&self) -> System {
        match self.kind {
            Kind::Read => System::Read,
            Kind::Verify => System::Verify,
        }
    }

    fn reset(&mut self) -> Result<()> {
        self.stop()
    }

    fn start_intake(&mut self) -> Result<()> {
        let kind = self.kind.to_possible_value();
        let kind = kind.as_ref().map_or("read", |value| value.get_name());
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["receiver", "--kind", kind, "--listen"]).arg(self.address.to_string());
        let process = self.process.insert(Process::start(kind, &mut command, &self.folder)?);
        process.wait_ready(self.address, "/health/ready")
    }

    fn address(&self) -> SocketAddr {
        self.address
    }

    fn components(&self) -> Vec<Component> {
        let own = self.process.as_ref().map(|process| Component { name: "receiver", pid: process.id(), forks: false });
        own.into_iter().collect()
    }

    fn stop(&mut self) -> Result<()> {
        self.process.take().map_or(Ok(()), Process::stop)
    }
}

/// Serves a bare receiver: what its process runs.
pub fn serve(kind: Kind, address: SocketAddr) -> Result<()> {
    let handler = match kind {
        Kind::Read => post(read),
        Kind::Verify => {
            let key = Hmac::<Sha256>::new_from_slice(delivery::KEY)?;
            post(move |headers, body| verify(key.clone(), headers, body))
        }
    };
    let routes = Router::new().route("/webhooks/openai", handler).route("/health/ready", get(|| async { "ok" }));
    tokio::runtime::Runtime::new()?.block_on(async {
        let listener = tokio::net::TcpListener::bind(address).await?;
        Ok(axum::serve(listener, routes).await?)
    })
}

async fn read(body: Bytes) -> &'static str {
    std::hint::black_box(body.len());
    "ok"
}

async fn verify(key: Hmac<Sha256>, headers: HeaderMap, body: Bytes) -> Result<&'static str, StatusCode> {
    let header = |name| headers.get(name).map_or(&b""[..], |value| value.as_bytes());
    let (id, timestamp) = (header("webhook-id"), header("webhook-timestamp"));
    if delivery::verify(&key, id, timestamp, header("webhook-signature"), &body) {
        Ok("ok")
    } else {
        Err(StatusCode::BAD_REQUEST)
    }
}
