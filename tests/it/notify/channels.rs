//! What each channel puts on the wire, and what it says when it cannot.

use standardwebhooks::Webhook;

use super::fakes::{FakeHook, FakeSmtp};
use super::{email, secret, slack, webhook};
use crate::harness::{ALL, TestDesk};
use frontdesk::clock::Clock;
use frontdesk::domain::secret::Secret;
use frontdesk::notify::{Channel, EmailSettings};

#[tokio::test]
async fn a_webhook_is_signed_so_that_others_can_verify_it_and_says_what_to_do() {
    let desk = TestDesk::open().await;
    let hook = FakeHook::start().await;
    desk.raise("openai_auth", "default").await;
    desk.sender(vec![webhook(&hook)]).look().await;
    let posted = hook.posted().remove(0);
    let (id, now_s) = (posted.header("webhook-id"), desk.now_ms() / 1000);
    let signed = Webhook::new(&secret()).unwrap().sign(id, now_s, posted.body.as_bytes()).unwrap();
    assert_eq!(posted.header("webhook-signature"), signed);
    assert_eq!(posted.header("webhook-timestamp"), (desk.now_ms() / 1000).to_string());
    assert_eq!(posted.header("content-type"), "application/json");
    let json = posted.json();
    assert_eq!((&json["type"], &json["data"]["kind"]), (&"alert.opened".into(), &"openai_auth".into()));
    assert_eq!((&json["data"]["subject"], &json["data"]["times"]), (&"default".into(), &1.into()));
    for text in [&json["timestamp"], &json["data"]["opened_at"]] {
        assert!(text.as_str().unwrap().ends_with('Z'), "{text}");
    }
    assert!(json["data"]["help"].as_str().unwrap().contains("OpenAI"));
}

#[tokio::test]
async fn a_webhook_of_this_moment_is_accepted_by_the_reference_library() {
    let hook = FakeHook::start().await;
    webhook(&hook).test(Clock::System.now_ms()).await.unwrap();
    let posted = hook.posted().remove(0);
    let verifier = Webhook::new(&secret()).unwrap();
    verifier.verify(posted.body.as_bytes(), &posted.headers).expect("the signature is good");
    assert!(verifier.verify(b"{}", &posted.headers).is_err(), "of another body it is not");
}

#[tokio::test]
async fn slack_gets_one_text_in_which_nothing_is_markup() {
    let desk = TestDesk::open().await;
    let hook = FakeHook::start().await;
    desk.raise("received", "<!channel>@here").await;
    desk.sender(vec![slack(&hook)]).look().await;
    let posted = hook.posted().remove(0);
    let json = posted.json();
    assert_eq!(json.as_object().unwrap().len(), 1);
    let text = json["text"].as_str().unwrap();
    assert!(text.starts_with("*Frontdesk alert: received (&lt;!channel&gt;(at)here)*\n"), "{text}");
    assert!(text.contains("What to do: ") && !text.contains("<!"), "{text}");
}

#[tokio::test]
async fn a_mail_goes_to_everybody_with_a_subject_and_an_id_that_stays() {
    let desk = TestDesk::open().await;
    let smtp = FakeSmtp::start().await;
    smtp.refuse(1);
    desk.raise("openai_auth", "default").await;
    let sender = desk.sender(vec![email(&smtp)]);
    sender.look().await;
    assert!(smtp.mails().is_empty());
    let error = desk.store.alerts(true, ALL).await.unwrap().items[0].sends[0].error.clone().unwrap();
    assert_eq!(error, "SMTP 554", "the code, and nothing of what the server said");
    desk.clock.advance(10_000);
    sender.look().await;
    let mail = smtp.mails().remove(0);
    for line in [
        "Subject: Frontdesk alert: openai_auth (default)",
        "From: Frontdesk <frontdesk@example.com>",
        "To: ops@example.com, Lena <lena@example.com>",
        "Auto-Submitted: auto-generated",
    ] {
        assert!(mail.contains(line), "{line}: {mail}");
    }
    assert!(mail.contains("Message-ID: <alert_1_"), "{mail}");
    assert!(mail.contains("in our words\n") && mail.contains("What to do: "), "{mail}");
    let said = smtp.said().join("\n");
    assert!(said.contains("AUTH PLAIN") && !said.contains("canary-password"), "{said}");
    assert!(said.contains("RCPT TO:<ops@example.com>") && said.contains("RCPT TO:<lena@example.com>"), "{said}");
}

#[tokio::test]
async fn a_test_message_says_of_each_channel_whether_it_works() {
    let desk = TestDesk::open().await;
    let (hook, smtp) = (FakeHook::start().await, FakeSmtp::start().await);
    for channel in [webhook(&hook), slack(&hook), email(&smtp)] {
        channel.test(desk.now_ms()).await.unwrap();
    }
    assert_eq!((hook.posted().len(), smtp.mails().len()), (2, 1));
    assert_eq!(hook.posted()[0].json()["type"], "alert.notice");
    hook.refuse(404, 1);
    assert_eq!(webhook(&hook).test(desk.now_ms()).await.unwrap_err().to_string(), "HTTP 404");
    smtp.refuse(2);
    assert_eq!(email(&smtp).test(desk.now_ms()).await.unwrap_err().to_string(), "SMTP 554");
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_an_error_never_shows_an_address() {
    let desk = TestDesk::open().await;
    let hook = FakeHook::start().await;
    hook.refuse(307, 1);
    assert_eq!(slack(&hook).test(desk.now_ms()).await.unwrap_err().to_string(), "HTTP 307");
    assert_eq!(hook.posted().len(), 1);
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let channel = Channel::slack(&format!("http://{nobody}/canary-path")).unwrap();
    assert_eq!(channel.test(desk.now_ms()).await.unwrap_err().to_string(), "no connection");
    let mail = EmailSettings {
        smtp: format!("smtp://{nobody}"),
        credentials: None,
        from: "a@example.com".to_owned(),
        to: vec!["b@example.com".to_owned()],
    };
    let error = Channel::email(mail).unwrap().test(desk.now_ms()).await.unwrap_err().to_string();
    assert_eq!(error, "no connection, or it broke off");
}

#[test]
fn settings_that_would_speak_in_the_clear_or_make_no_sense_are_refused_and_never_shown() {
    let signing = || Secret::parse(&secret()).unwrap();
    for url in ["http://canary.example.com/x", "ftp://127.0.0.1/canary", "canary", "https://canary:pw@example.com/"] {
        for refused in [Channel::slack(url).err().unwrap(), Channel::webhook(url, signing()).err().unwrap()] {
            let text = refused.to_string();
            assert!(text.starts_with("alerts.") && !text.contains("canary"), "{url}: {text}");
        }
    }
    for url in ["https://example.com/x", "http://127.0.0.1:1/x", "http://[::1]:1/x", "http://localhost/x"] {
        assert!(Channel::slack(url).is_ok(), "{url}");
    }
    let mail = |smtp: &str, from: &str| {
        let (from, to) = (from.to_owned(), vec!["b@example.com".to_owned()]);
        Channel::email(EmailSettings { smtp: smtp.to_owned(), credentials: None, from, to })
    };
    for smtp in ["smtp://mail.example.com:587", "smtps://mail.example.com", "smtp://127.0.0.1:2525", "smtp://[::1]"] {
        assert!(mail(smtp, "a@example.com").is_ok(), "{smtp}");
    }
    for (smtp, from) in [
        ("mail.example.com:25", "a@example.com"),
        ("http://mail.example.com", "a@example.com"),
        ("smtp://u:canary@mail.example.com", "a@example.com"),
        ("smtp://mail.example.com", "nobody"),
    ] {
        let text = mail(smtp, from).err().unwrap().to_string();
        assert!(text.starts_with("alerts.email.") && !text.contains("canary"), "{text}");
    }
}

#[tokio::test]
async fn a_server_elsewhere_without_tls_gets_no_mail() {
    // Not this machine by its name, and this machine all the same.
    let smtp = FakeSmtp::start().await;
    let settings = EmailSettings {
        smtp: smtp.url.replace("127.0.0.1", "0.0.0.0"),
        credentials: Some(("ada".to_owned(), "canary-password".to_owned())),
        from: "a@example.com".to_owned(),
        to: vec!["b@example.com".to_owned()],
    };
    let error = Channel::email(settings).unwrap().test(1).await.unwrap_err().to_string();
    assert_eq!(error, "the server does not offer what is needed");
    let said = smtp.said();
    assert!(said.iter().any(|line| line.starts_with("EHLO")), "{said:?}");
    assert!(!said.iter().any(|line| line.starts_with("AUTH") || line.starts_with("MAIL")), "{said:?}");
}
