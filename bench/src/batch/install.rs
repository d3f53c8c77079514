//! Batches that have ended, at OpenAI's stand-in: files uploaded as any, then a batch made of them.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::json;

use super::lines::{self, Files};
use crate::wire::{self, Connection};

/// A batch that waits at the stand-in.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Its id there.
    pub id: String,
    /// What is in it.
    pub files: Files,
}

#[derive(Deserialize)]
struct Made {
    id: String,
}

/// Writes the files of a batch of so many lines and makes the batch.
pub fn install(folder: &Path, simulator: SocketAddr, lines: u64) -> Result<Batch> {
    let files = lines::write(folder, lines)?;
    let wanted = json!({
        "output_file_id": upload(simulator, &files.output)?,
        "error_file_id": upload(simulator, &files.errors)?,
        "metadata": {"workflow": "classification"},
        "request_counts": {"total": lines, "completed": lines, "failed": 0},
    });
    let request = wire::post(simulator, "/_simulator/batches", None, &wanted.to_string());
    let made: Made = serde_json::from_slice(Connection::new(simulator).expect_success(&request)?)?;
    Ok(Batch { id: made.id, files })
}

/// Uploads by streaming and returns the file's id.
fn upload(address: SocketAddr, path: &Path) -> Result<String> {
    const BOUNDARY: &str = "frontdesk-benchmark";
    let mut file = File::open(path)?;
    let before = format!(
        "--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"purpose\"\r\n\r\nbatch_output\r\n\
         --{BOUNDARY}\r\ncontent-disposition: form-data; name=\"file\"; filename=\"lines.jsonl\"\r\n\r\n"
    );
    let after = format!("\r\n--{BOUNDARY}--\r\n");
    let length = before.len() as u64 + file.metadata()?.len() + after.len() as u64;
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(wire::PATIENCE))?;
    write!(
        stream,
        "POST /v1/files HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {length}\r\n\
         content-type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n{before}"
    )?;
    io::copy(&mut file, &mut stream)?;
    stream.write_all(after.as_bytes())?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let head = wire::head(&bytes)?.context("no answer to an upload")?;
    let body = bytes.get(head.start..head.end).context("half an answer to an upload")?;
    ensure!(head.status == 200, "an upload was answered {}: {}", head.status, String::from_utf8_lossy(body));
    let made: Made = serde_json::from_slice(body)?;
    Ok(made.id)
}
