//! The least HTTP/1.1 that a load generator needs: requests as bytes, answers with a
//! `content-length`, keep-alive. Less than a client library costs, so that the two cores go to
//! what is measured.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// How long an exchange may take before it counts as an error.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Where an answer's body lies in the bytes read so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The status code.
    pub status: u16,
    /// Where the body starts.
    pub start: usize,
    /// Where the body ends.
    pub end: usize,
}

/// Reads the head of an answer; `None` while it is not all there.
pub fn head(bytes: &[u8]) -> Result<Option<Head>> {
    let Some(blank) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let text = std::str::from_utf8(&bytes[..blank]).context("the head is not text")?;
    let mut lines = text.split("\r\n");
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1))
        .and_then(|code| code.parse().ok())
        .context("no status line")?;
    let mut length = None;
    for line in lines {
        let Some((name, value)) = line.split_once(':') else {
            continue;
        };
        if name.eq_ignore_ascii_case("content-length") {
            length = Some(value.trim().parse::<usize>()?);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            bail!("the answer is chunked; this reader wants a content-length");
        }
    }
    let start = blank + 4;
    let end = start + length.unwrap_or(0);
    Ok(Some(Head { status, start, end }))
}

/// A GET request as bytes.
pub fn get(address: SocketAddr, path: &str, bearer: Option<&str>) -> Vec<u8> {
    let mut request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n");
    if let Some(token) = bearer {
        request += &format!("authorization: Bearer {token}\r\n");
    }
    request += "\r\n";
    request.into_bytes()
}

/// A GET request by somebody with a token for the API and a cookie for the pages.
pub fn get_as(address: SocketAddr, path: &str, bearer: &str, cookie: &str) -> Vec<u8> {
    let request =
        format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {bearer}\r\ncookie: {cookie}\r\n\r\n");
    request.into_bytes()
}

/// A POST of JSON as bytes.
pub fn post(address: SocketAddr, path: &str, bearer: Option<&str>, json: &str) -> Vec<u8> {
    let length = json.len();
    let mut request = format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n"
    );
    if let Some(token) = bearer {
        request += &format!("authorization: Bearer {token}\r\n");
    }
    request += "\r\n";
    request += json;
    request.into_bytes()
}

/// An answer: its status and body.
#[derive(Debug)]
pub struct Answer<'a> {
    /// The status code.
    pub status: u16,
    /// The body.
    pub body: &'a [u8],
}

/// One blocking keep-alive connection, opened when first used and again after an error.
pub struct Connection {
    address: SocketAddr,
    stream: Option<TcpStream>,
    bytes: Vec<u8>,
}

impl Connection {
    /// A connection to `address`, not opened yet.
    pub fn new(address: SocketAddr) -> Self {
        Connection { address, stream: None, bytes: Vec::with_capacity(4096) }
    }

    /// A connection opened now, or else, when that fails, by its first exchange.
    pub fn open(address: SocketAddr) -> Self {
        let mut connection = Connection::new(address);
        connected(&mut connection.stream, address).ok();
        connection
    }

    /// Sends a request and waits for its answer.
    pub fn exchange(&mut self, request: &[u8]) -> Result<Answer<'_>> {
        match self.try_exchange(request) {
            Ok(head) => Ok(Answer { status: head.status, body: &self.bytes[head.start..head.end] }),
            Err(error) => {
                self.stream = None;
                Err(error)
            }
        }
    }

    /// As `exchange`, and an error unless the status is a 2xx.
    pub fn expect_success(&mut self, request: &[u8]) -> Result<&[u8]> {
        let answer = self.exchange(request)?;
        if !(200..300).contains(&answer.status) {
            let body = String::from_utf8_lossy(answer.body).into_owned();
            bail!("answered {}: {body}", answer.status);
        }
        Ok(answer.body)
    }

    fn try_exchange(&mut self, request: &[u8]) -> Result<Head> {
        let stream = connected(&mut self.stream, self.address)?;
        stream.write_all(request)?;
        self.bytes.clear();
        loop {
            let mut piece = [0; 8192];
            let read = stream.read(&mut piece)?;
            if read == 0 {
                bail!("the connection was closed");
            }
            self.bytes.extend_from_slice(&piece[..read]);
            if let Some(head) = head(&self.bytes)?
                && self.bytes.len() >= head.end
            {
                return Ok(head);
            }
        }
    }
}

fn connected(slot: &mut Option<TcpStream>, address: SocketAddr) -> Result<&mut TcpStream> {
    let stream = match slot.take() {
        Some(open) => open,
        None => {
            let stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream
        }
    };
    Ok(slot.insert(stream))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_once_it_is_complete() {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        let found = head(answer).unwrap().unwrap();
        assert_eq!((found.status, &answer[found.start..]), (200, &b"ok"[..]));
        assert_eq!(head(&answer[..20]).unwrap(), None);
    }

    #[test]
    fn a_chunked_answer_is_refused() {
        assert!(head(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").is_err());
    }
}
