//! Mail over SMTP.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message as Mail};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::transport::smtp::{self};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};
use reqwest::Url;

use super::http::is_loopback;
use super::message::Message;
use super::{NotSent, Unusable};

/// Limit for each step of the conversation, and for all of it.
const STEP_TIMEOUT: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(10);

/// Where mail goes, and as whom.
pub struct EmailSettings {
    /// `smtps://HOST` is TLS from the start, `smtp://HOST` begins with STARTTLS,
    /// but to this machine, where it is in the clear.
    pub smtp: String,
    /// Name and password.
    pub credentials: Option<(String, String)>,
    /// As `Frontdesk <frontdesk@example.com>`.
    pub from: String,
    /// Who gets it.
    pub to: Vec<String>,
}

pub(super) struct Email {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    to: Vec<Mailbox>,
}

impl Email {
    pub(super) fn new(settings: EmailSettings) -> Result<Email, Unusable> {
        let mailbox = |setting, text: &str| {
            text.parse::<Mailbox>().map_err(|_| Unusable { setting, why: "it is not a mail address" })
        };
        let from = mailbox("email.from", &settings.from)?;
        let to = settings.to.iter().map(|text| mailbox("email.to", text)).collect::<Result<Vec<_>, _>>()?;
        let mut builder = server(&settings.smtp)?.timeout(Some(STEP_TIMEOUT));
        if let Some((name, password)) = settings.credentials {
            builder = builder.credentials(Credentials::new(name, password));
        }
        Ok(Email { transport: builder.build(), from, to })
    }

    pub(super) async fn send(&self, message: &Message) -> Result<(), NotSent> {
        let mail = self.mail(message).map_err(|_| NotSent("the mail could not be written".to_owned()))?;
        match tokio::time::timeout(TIMEOUT, self.transport.send(mail)).await {
            Err(_) => Err(NotSent("no answer in time".to_owned())),
            Ok(Err(error)) => Err(not_sent(&error)),
            Ok(Ok(_)) => Ok(()),
        }
    }

    fn mail(&self, message: &Message) -> Result<Mail, lettre::error::Error> {
        let sent_at = u64::try_from(message.sent_at_ms).map_or(UNIX_EPOCH, at);
        let mut mail = Mail::builder()
            .from(self.from.clone())
            .subject(message.title())
            .date(sent_at)
            .message_id(Some(format!("<{}@frontdesk>", message.id)))
            // No out-of-office answers to a machine.
            .raw_header(HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned()))
            .header(ContentType::TEXT_PLAIN);
        for to in &self.to {
            mail = mail.to(to.clone());
        }
        mail.body(message.lines().join("\r\n") + "\r\n")
    }
}

fn at(ms: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(ms)
}

fn server(address: &str) -> Result<smtp::AsyncSmtpTransportBuilder, Unusable> {
    let unusable = |why| Unusable { setting: "email.smtp", why };
    let url =
        Url::parse(address.trim()).map_err(|_| unusable("it is not a URL; write smtp://HOST:587 or smtps://HOST"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(unusable("name and password have settings of their own"));
    }
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| unusable("it names no host"))?;
    let tls = || {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        TlsParameters::new_rustls(bare.to_owned())
            .map_err(|_| unusable("no TLS can be made; are CA certificates installed?"))
    };
    let (tls, port) = match url.scheme() {
        "smtps" => (Tls::Wrapper(tls()?), 465),
        // A relay on this machine rarely has a certificate, and nobody listens in between.
        "smtp" if is_loopback(host) => (Tls::None, 25),
        "smtp" => (Tls::Required(tls()?), 587),
        _ => return Err(unusable("it must begin with smtp:// or smtps://")),
    };
    let builder =
        AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host.trim_start_matches('[').trim_end_matches(']'));
    Ok(builder.port(url.port().unwrap_or(port)).tls(tls))
}

/// The error without its text, which holds what the server said.
fn not_sent(error: &smtp::Error) -> NotSent {
    if let Some(code) = error.status() {
        return NotSent(format!("SMTP {code}"));
    }
    let why = if error.is_timeout() {
        "no answer in time"
    } else if error.is_tls() {
        "no TLS with the server"
    } else if error.is_client() {
        "the server does not offer what is needed"
    } else {
        "no connection, or it broke off"
    };
    NotSent(why.to_owned())
}
