//! Stand-ins for what alerts are told over: an SMTP server and a web server,
//! both on this machine, both remembering what they got.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// A POST that came in.
#[derive(Clone)]
pub struct Posted {
    pub headers: HeaderMap,
    pub body: String,
}

impl Posted {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }
}

/// A web server that takes whatever is posted.
#[derive(Clone)]
pub struct FakeHook {
    pub url: String,
    posted: Arc<Mutex<Vec<Posted>>>,
    /// What the next posts are answered with, before they are taken again.
    answers: Arc<Mutex<VecDeque<u16>>>,
}

impl FakeHook {
    pub async fn start() -> FakeHook {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/canary-hook-path", listener.local_addr().unwrap());
        let hook = FakeHook { url, posted: Arc::default(), answers: Arc::default() };
        let app = Router::new().fallback(take).with_state(hook.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        hook
    }

    /// All that came in, also what was refused.
    pub fn posted(&self) -> Vec<Posted> {
        self.posted.lock().unwrap().clone()
    }

    /// The `type` and subject of each message that came in.
    pub fn told(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let posted = self.posted().into_iter().map(|posted| posted.json());
        posted.map(|json| (text(&json["type"]), text(&json["data"]["subject"]))).collect()
    }

    /// The `type` of each message that came in.
    pub fn words(&self) -> Vec<String> {
        self.told().into_iter().map(|(word, _)| word.trim_start_matches("alert.").to_owned()).collect()
    }

    /// Answers the next posts with this status.
    pub fn refuse(&self, status: u16, times: usize) {
        self.answers.lock().unwrap().extend(std::iter::repeat_n(status, times));
    }
}

async fn take(State(hook): State<FakeHook>, headers: HeaderMap, body: String) -> impl IntoResponse {
    hook.posted.lock().unwrap().push(Posted { headers, body });
    let status = hook.answers.lock().unwrap().pop_front().unwrap_or(200);
    (StatusCode::from_u16(status).unwrap(), [(header::LOCATION, hook.url.clone())], "canary-server-words")
}

/// An SMTP server that takes whatever is sent.
#[derive(Clone)]
pub struct FakeSmtp {
    pub url: String,
    mails: Arc<Mutex<Vec<String>>>,
    /// What clients said outside of mails.
    said: Arc<Mutex<Vec<String>>>,
    /// How many recipients are refused before they are taken again.
    refusals: Arc<Mutex<usize>>,
}

impl FakeSmtp {
    pub async fn start() -> FakeSmtp {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("smtp://{}", listener.local_addr().unwrap());
        let smtp = FakeSmtp { url, mails: Arc::default(), said: Arc::default(), refusals: Arc::default() };
        let server = smtp.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let server = server.clone();
                tokio::spawn(async move { server.talk(stream).await });
            }
        });
        smtp
    }

    /// The mails, as they came over the wire.
    pub fn mails(&self) -> Vec<String> {
        self.mails.lock().unwrap().clone()
    }

    /// The lines that clients said outside of mails.
    pub fn said(&self) -> Vec<String> {
        self.said.lock().unwrap().clone()
    }

    /// Refuses so many recipients.
    pub fn refuse(&self, times: usize) {
        *self.refusals.lock().unwrap() = times;
    }

    async fn talk(&self, stream: TcpStream) -> Option<()> {
        let mut stream = BufReader::new(stream);
        say(&mut stream, "220 fake").await?;
        loop {
            let line = hear(&mut stream).await?;
            self.said.lock().unwrap().push(line.clone());
            match line.split(' ').next().unwrap_or_default() {
                "EHLO" => say(&mut stream, "250-fake\r\n250-8BITMIME\r\n250 AUTH PLAIN LOGIN").await?,
                "AUTH" => say(&mut stream, "235 welcome").await?,
                "RCPT" if self.refuses() => say(&mut stream, "554 canary-server-words").await?,
                "DATA" => {
                    say(&mut stream, "354 go on").await?;
                    let mail = self.mail(&mut stream).await?;
                    self.mails.lock().unwrap().push(mail);
                    say(&mut stream, "250 taken").await?;
                }
                "QUIT" => return say(&mut stream, "221 bye").await,
                _ => say(&mut stream, "250 fine").await?,
            }
        }
    }

    fn refuses(&self) -> bool {
        let mut left = self.refusals.lock().unwrap();
        let refuses = *left > 0;
        *left = left.saturating_sub(1);
        refuses
    }

    async fn mail(&self, stream: &mut BufReader<TcpStream>) -> Option<String> {
        let mut mail = String::new();
        loop {
            let line = hear(stream).await?;
            if line == "." {
                return Some(mail);
            }
            mail.push_str(&line);
            mail.push('\n');
        }
    }
}

async fn say(stream: &mut BufReader<TcpStream>, line: &str) -> Option<()> {
    stream.write_all(format!("{line}\r\n").as_bytes()).await.ok()
}

async fn hear(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = String::new();
    let read = stream.read_line(&mut line).await.ok()?;
    (read > 0).then(|| line.trim_end().to_owned())
}
