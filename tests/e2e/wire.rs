//! HTTP by hand, so that the tests see every byte, and signed deliveries.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use frontdesk::clock::Clock;
use frontdesk_simulator::DEMO_SECRET;
use frontdesk_simulator::event::{body, new_id};
use frontdesk_simulator::signing::Signer;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Whatever is waited for must have happened by then.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Looks again and again until there is something to see.
pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "waited too long for {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// One answer, as it came.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// All bytes but the date, which changes every second.
    pub fn without_date(&self) -> String {
        let head: Vec<&str> =
            self.head.lines().filter(|line| !line.to_ascii_lowercase().starts_with("date:")).collect();
        format!("{}\n\n{}", head.join("\n"), self.text())
    }
}

/// A connection that is kept open.
pub struct Wire {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Wire {
    pub async fn open(addr: SocketAddr) -> Wire {
        Wire { stream: TcpStream::connect(addr).await.unwrap(), read: Vec::new() }
    }

    pub async fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// The next answer; none when the other side closes or resets.
    pub async fn answer(&mut self) -> Option<Answer> {
        tokio::time::timeout(PATIENCE, self.next()).await.expect("no answer and no close")
    }

    /// The status of an answer whose body may go on for ever; none when there is none.
    pub async fn status(&mut self) -> Option<u16> {
        let mut piece = [0; 16 * 1024];
        let count = tokio::time::timeout(PATIENCE, self.stream.read(&mut piece)).await.expect("no answer").ok()?;
        self.read.extend_from_slice(&piece[..count]);
        String::from_utf8_lossy(&self.read).split(' ').nth(1)?.parse().ok()
    }

    /// The data of the next event of a stream; none when the other side closes.
    pub async fn event(&mut self) -> Option<Value> {
        tokio::time::timeout(PATIENCE, self.next_event()).await.expect("no event and no close")
    }

    async fn next_event(&mut self) -> Option<Value> {
        loop {
            let text = String::from_utf8_lossy(&self.read).into_owned();
            if let Some((before, rest)) = text.split_once("event: changed\nretry: 500\ndata: ")
                && let Some((data, _)) = rest.split_once("\n\n")
            {
                self.read.drain(..before.len() + "event: changed\nretry: 500\ndata: \n\n".len() + data.len());
                return Some(serde_json::from_str(data).unwrap_or_else(|error| panic!("{error}: {data}")));
            }
            let mut piece = [0; 16 * 1024];
            match self.stream.read(&mut piece).await {
                Ok(0) | Err(_) => return None,
                Ok(count) => self.read.extend_from_slice(&piece[..count]),
            }
        }
    }

    async fn next(&mut self) -> Option<Answer> {
        loop {
            if let Some(answer) = self.take() {
                return Some(answer);
            }
            let mut piece = [0; 16 * 1024];
            match self.stream.read(&mut piece).await {
                Ok(0) | Err(_) => return None,
                Ok(count) => self.read.extend_from_slice(&piece[..count]),
            }
        }
    }

    fn take(&mut self) -> Option<Answer> {
        let end = self.read.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
        let head = String::from_utf8_lossy(&self.read[..end - 4]).into_owned();
        let status = head.split(' ').nth(1)?.parse().ok()?;
        let mut answer = Answer { status, head, body: Vec::new() };
        if answer.header("transfer-encoding") == Some("chunked") {
            let used = end + dechunk(&self.read[end..], &mut answer.body)?;
            self.read.drain(..used);
            return Some(answer);
        }
        let length: usize = answer.header("content-length").map_or(0, |text| text.parse().unwrap());
        if self.read.len() < end + length {
            return None;
        }
        answer.body = self.read[end..end + length].to_vec();
        self.read.drain(..end + length);
        Some(answer)
    }
}

/// Puts a body in pieces together, and says how many bytes it took; none while
/// there is more to come.
fn dechunk(mut rest: &[u8], body: &mut Vec<u8>) -> Option<usize> {
    let whole = rest.len();
    loop {
        let line = rest.windows(2).position(|two| two == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..line]).unwrap(), 16).unwrap();
        let piece = rest.get(line + 2..line + 2 + size + 2)?;
        body.extend_from_slice(&piece[..size]);
        rest = &rest[line + 2 + size + 2..];
        if size == 0 {
            return Some(whole - rest.len());
        }
    }
}

/// One request on a connection of its own.
pub async fn ask(addr: SocketAddr, request: &[u8]) -> Option<Answer> {
    let mut wire = Wire::open(addr).await;
    // A refusal may come before all has been written.
    let _ = wire.write(request).await;
    wire.answer().await
}

/// A request with a body and its length.
pub fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: desk\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    [head.as_bytes(), b"\r\n", body].concat()
}

/// A delivery as OpenAI would send it, or one that is wrong on purpose.
#[derive(Clone, Debug)]
pub struct Message {
    pub id: String,
    pub event_id: String,
    pub body: Vec<u8>,
    pub secret: String,
    pub age_s: i64,
    pub path: String,
}

pub const ROUTE: &str = "/webhooks/openai";

impl Message {
    /// A new event under a new webhook-id.
    pub fn of(event_type: &str, resource_id: &str) -> Message {
        let event_id = new_id("evt_");
        let text = body(&event_id, Clock::System.now_s(), event_type, resource_id);
        Message { event_id, ..Message::with_body(text.as_bytes()) }
    }

    /// A new event about a response that the simulator makes up by its id.
    pub fn summary_of(ticket: &str) -> Message {
        Message::of("response.completed", &format!("resp_made_summary_{ticket}"))
    }

    /// Any bytes under a new webhook-id.
    pub fn with_body(body: &[u8]) -> Message {
        Message {
            id: new_id("wh_"),
            event_id: String::new(),
            body: body.to_vec(),
            secret: DEMO_SECRET.to_owned(),
            age_s: 0,
            path: ROUTE.to_owned(),
        }
    }

    /// The same event under another webhook-id.
    pub fn again(&self) -> Message {
        Message { id: new_id("wh_"), ..self.clone() }
    }

    pub fn to(self, path: &str) -> Message {
        Message { path: path.to_owned(), ..self }
    }

    pub fn signed_with(self, secret: &str) -> Message {
        Message { secret: secret.to_owned(), ..self }
    }

    /// The three headers.
    pub fn headers(&self) -> [(&'static str, String); 3] {
        let timestamp = Clock::System.now_s() - self.age_s;
        let signature = Signer::new(&self.secret).unwrap().sign(&self.id, timestamp, &self.body);
        [
            ("webhook-id", self.id.clone()),
            ("webhook-timestamp", timestamp.to_string()),
            ("webhook-signature", signature),
        ]
    }

    /// The whole request.
    pub fn bytes(&self) -> Vec<u8> {
        let headers = self.headers();
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        request("POST", &self.path, &headers, &self.body)
    }
}
