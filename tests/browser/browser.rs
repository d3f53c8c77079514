//! A real browser: Chromium, driven over WebDriver. Each has a driver and a
//! profile of its own, and both go when it does.

use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fantoccini::elements::Element;
use fantoccini::key::Key;
use fantoccini::wd::{Capabilities, WebDriverCompatibleCommand};
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use rustix::process::{Pid, Signal};
use serde_json::{Value, json};
use url::Url;

/// What must happen soon, or the test has failed.
const SOON: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(30);

pub struct Browser {
    pub client: Client,
    session: String,
    driver: Child,
    base: String,
    _profile: tempfile::TempDir,
}

impl Drop for Browser {
    fn drop(&mut self) {
        // With the browser, which is the driver's child.
        let group = Pid::from_child(&self.driver);
        let _ = rustix::process::kill_process_group(group, Signal::KILL);
        let _ = self.driver.wait();
    }
}

impl Browser {
    /// Opens one at `base`, as wide as this, with or without scripts.
    pub async fn open(base: &str, width: u32, scripts: bool) -> Browser {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let driver = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("chromedriver (Debian: chromium-driver) is needed; scripts/test installs it");
        let profile = tempfile::tempdir().unwrap();
        let client = connected(port, profile.path(), width, scripts).await;
        let session = client.session_id().await.unwrap().unwrap();
        Browser { client, session, driver, base: base.to_owned(), _profile: profile }
    }

    pub async fn go(&self, path: &str) {
        self.client.goto(&format!("{}{path}", self.base)).await.unwrap();
    }

    /// Where it is, without the host.
    pub async fn path(&self) -> String {
        let url = self.client.current_url().await.unwrap();
        url.as_str().strip_prefix(&self.base).unwrap_or(url.as_str()).to_owned()
    }

    pub async fn script(&self, script: &str) -> Value {
        self.client.execute(script, vec![]).await.unwrap()
    }

    /// Everything that can be read on the page.
    pub async fn text(&self) -> String {
        self.script("return document.body.innerText").await.as_str().unwrap_or_default().to_owned()
    }

    pub async fn find(&self, css: &str) -> Element {
        let found = self.client.wait().at_most(SOON).every(LOOK_EVERY).for_element(Locator::Css(css)).await;
        match found {
            Ok(found) => found,
            Err(error) => panic!("{css}: {error} on {}:\n{}", self.path().await, self.text().await),
        }
    }

    pub async fn type_into(&self, css: &str, text: &str) {
        self.find(css).await.send_keys(text).await.unwrap();
    }

    /// Types into whatever has the focus.
    pub async fn keys(&self, keys: &str) {
        self.client.active_element().await.unwrap().send_keys(keys).await.unwrap();
    }

    pub async fn key(&self, key: Key) {
        self.keys(&char::from(key).to_string()).await;
    }

    pub async fn click(&self, css: &str) {
        self.find(css).await.click().await.unwrap();
    }

    /// Waits until the page says this.
    pub async fn says(&self, text: &str) {
        self.until(text, async || self.text().await.contains(text)).await;
    }

    pub async fn until(&self, what: &str, mut is_so: impl AsyncFnMut() -> bool) {
        let end = Instant::now() + SOON;
        while !is_so().await {
            assert!(Instant::now() < end, "never: {what}; on {}:\n{}", self.path().await, self.text().await);
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    pub async fn sign_in(&self, name: &str, password: &str) {
        self.go("/sign-in").await;
        self.type_into("[name=name]", name).await;
        self.type_into("[name=password]", &format!("{password}{}", char::from(Key::Enter))).await;
        self.until("signed in", async || self.path().await == "/").await;
    }

    /// As somebody who wants it dark or light, on a screen as wide as this.
    pub async fn look(&self, width: u32, theme: &str) {
        let screen = json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false});
        self.devtools("Emulation.setDeviceMetricsOverride", screen).await;
        self.devtools("Emulation.setScrollbarsHidden", json!({"hidden": true})).await;
        let wanted = json!({"features": [{"name": "prefers-color-scheme", "value": theme}]});
        self.devtools("Emulation.setEmulatedMedia", wanted).await;
    }

    /// The whole of the page, down to its end.
    pub async fn screenshot(&self, name: &str) {
        let folder = screenshots();
        std::fs::create_dir_all(&folder).unwrap();
        let all = json!({"format": "png", "captureBeyondViewport": true});
        let taken = self.devtools("Page.captureScreenshot", all).await;
        let picture = STANDARD.decode(taken["data"].as_str().expect("a picture")).unwrap();
        std::fs::write(folder.join(format!("{name}.png")), picture).unwrap();
    }

    async fn devtools(&self, command: &'static str, params: Value) -> Value {
        let session = self.session.clone();
        self.client.issue_cmd(DevTools { session, command, params }).await.unwrap()
    }

    /// What the browser itself complained of, as scripts that the page's policy forbids.
    pub async fn complaints(&self) -> Vec<String> {
        let command = Log { session: self.session.clone() };
        let entries = self.client.issue_cmd(command).await.unwrap();
        let entries = entries.as_array().cloned().unwrap_or_default();
        entries.iter().map(|entry| entry["message"].as_str().unwrap_or_default().to_owned()).collect()
    }
}

async fn connected(port: u16, profile: &Path, width: u32, scripts: bool) -> Client {
    let mut arguments = vec![
        "--headless=new".to_owned(),
        "--no-sandbox".to_owned(),
        "--disable-gpu".to_owned(),
        "--lang=en".to_owned(),
        format!("--window-size={width},900"),
        format!("--user-data-dir={}", profile.display()),
    ];
    if !scripts {
        arguments.push("--blink-settings=scriptEnabled=false".to_owned());
    }
    let capabilities = json!({
        "goog:chromeOptions": {"args": arguments},
        "goog:loggingPrefs": {"browser": "ALL"},
    });
    let capabilities: Capabilities = capabilities.as_object().unwrap().clone();
    let end = Instant::now() + SOON;
    loop {
        let mut builder = ClientBuilder::new(HttpConnector::new());
        builder.capabilities(capabilities.clone());
        match builder.connect(&format!("http://127.0.0.1:{port}")).await {
            Ok(client) => return client,
            Err(error) => assert!(Instant::now() < end, "no browser: {error}"),
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Where they are kept as artefacts of the run.
pub fn screenshots() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    target.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target")).join("screenshots")
}

/// A command of Chromium's own protocol.
#[derive(Debug)]
struct DevTools {
    session: String,
    command: &'static str,
    params: Value,
}

impl WebDriverCompatibleCommand for DevTools {
    fn endpoint(&self, base: &Url, _: Option<&str>) -> Result<Url, url::ParseError> {
        base.join(&format!("session/{}/goog/cdp/execute", self.session))
    }

    fn method_and_body(&self, _: &Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(json!({"cmd": self.command, "params": self.params}).to_string()))
    }
}

/// What was written to the console since the last time.
#[derive(Debug)]
struct Log {
    session: String,
}

impl WebDriverCompatibleCommand for Log {
    fn endpoint(&self, base: &Url, _: Option<&str>) -> Result<Url, url::ParseError> {
        base.join(&format!("session/{}/se/log", self.session))
    }

    fn method_and_body(&self, _: &Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(json!({"type": "browser"}).to_string()))
    }
}
