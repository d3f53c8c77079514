//! Who gets in, and how.

use fantoccini::key::Key;

use crate::browser::Browser;
use crate::place::{PASSWORD, Place};
use crate::wire::{ask, request};

#[tokio::test]
async fn somebody_signs_in_by_keyboard_lands_where_they_wanted_to_go_and_signs_out() {
    let place = Place::open().await;
    let browser = Browser::open(&place.base, 1280, true).await;
    browser.go("/reviews?view=mine").await;
    browser.find("[name=name]:focus").await;
    browser.keys("lena").await;
    browser.key(Key::Tab).await;
    browser.keys("not the password").await;
    browser.key(Key::Enter).await;
    browser.says("There is nobody of this name with this password.").await;
    browser.type_into("[name=password]", PASSWORD).await;
    browser.key(Key::Enter).await;
    browser.until("where they wanted to go", async || browser.path().await == "/reviews?view=mine").await;
    browser.click(".account summary").await;
    browser.click("form[action='/sign-out'] button").await;
    browser.says("You are signed out.").await;
    browser.go("/reviews").await;
    browser.find("[name=password]").await;
}

#[tokio::test]
async fn nothing_can_be_read_without_signing_in() {
    let place = Place::open().await;
    let browser = Browser::open(&place.base, 1280, true).await;
    for page in crate::looks::PAGES.iter().filter(|page| page.needs_person) {
        let answer = ask(place.desk.addr, &request("GET", page.path, &[], b"")).await.unwrap();
        assert_eq!(answer.status, 303, "{}", page.path);
        assert!(answer.header("location").unwrap().starts_with("/sign-in"), "{}", page.path);
        assert!(answer.text().is_empty());
    }
    browser.go("/").await;
    browser.find("[name=password]").await;
    let answer = ask(place.desk.addr, &request("GET", "/api/v1/tickets", &[], b"")).await.unwrap();
    assert_eq!(answer.status, 401);
}

#[tokio::test]
async fn whoever_fails_often_has_to_wait_and_the_right_password_does_not_help_meanwhile() {
    let place = Place::open().await;
    let browser = Browser::open(&place.base, 1280, true).await;
    browser.go("/sign-in").await;
    for _ in 0..6 {
        browser.find("[name=name]").await.clear().await.unwrap();
        browser.type_into("[name=name]", "lena").await;
        browser.type_into("[name=password]", "wrong wrong wrong").await;
        browser.key(Key::Enter).await;
        browser.find(".wrong").await;
    }
    let form = format!("name=lena&password={}", PASSWORD.replace(' ', "+"));
    let head = [("content-type", "application/x-www-form-urlencoded")];
    let answer = ask(place.desk.addr, &request("POST", "/sign-in", &head, form.as_bytes())).await.unwrap();
    assert_eq!(answer.status, 401);
    assert!(answer.text().contains("Too many attempts"), "{}", answer.text());
}

#[tokio::test]
async fn a_form_of_another_site_does_nothing() {
    let place = Place::open().await;
    let signed_in = {
        let form = format!("name=mia&password={}", PASSWORD.replace(' ', "+"));
        let head = [("content-type", "application/x-www-form-urlencoded")];
        ask(place.desk.addr, &request("POST", "/sign-in", &head, form.as_bytes())).await.unwrap()
    };
    let cookie = signed_in.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    assert!(signed_in.header("set-cookie").unwrap().contains("HttpOnly; SameSite=Lax"));
    let foreign: [&[(&str, &str)]; 3] = [
        &[("origin", "https://evil.example")],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site"), ("origin", "null")],
    ];
    for from in foreign {
        for (path, kind, body) in [
            ("/tickets", "application/x-www-form-urlencoded", "subject=x&body=y"),
            ("/api/v1/tickets", "text/plain", r#"{"subject":"x"}"#),
        ] {
            let mut head = vec![("cookie", cookie.as_str()), ("content-type", kind)];
            head.extend_from_slice(from);
            let answer = ask(place.desk.addr, &request("POST", path, &head, body.as_bytes())).await.unwrap();
            assert_eq!(answer.status, 403, "{path} {from:?}");
        }
    }
    assert!(place.desk.get("/tickets").await["items"].as_array().unwrap().is_empty());
    // The host that requests of the tests name.
    let head =
        [("cookie", cookie.as_str()), ("content-type", "application/x-www-form-urlencoded"), ("origin", "http://desk")];
    let answer = ask(place.desk.addr, &request("POST", "/tickets", &head, b"subject=x&body=y")).await.unwrap();
    assert_eq!(answer.status, 303, "{}", answer.text());
}

#[tokio::test]
async fn the_first_link_makes_an_admin_who_lets_others_in() {
    let desk = crate::desk::Desk::start().await;
    let link = desk.app.first_link.clone().expect("nobody can sign in yet");
    let base = format!("http://{}", desk.addr);
    let browser = Browser::open(&base, 1280, true).await;
    browser.go(link.strip_prefix(&base).unwrap()).await;
    browser.type_into("[name=name]", "ada").await;
    browser.type_into("[name=password]", PASSWORD).await;
    browser.type_into("[name=again]", PASSWORD).await;
    browser.key(Key::Enter).await;
    browser.until("signed in", async || browser.path().await == "/").await;
    browser.go("/setup").await;
    browser.type_into("form[action='/setup/users'] [name=name]", "lena").await;
    browser.click("form[action='/setup/users'] button").await;
    let shown = browser.find("[data-link]").await.text().await.unwrap();
    assert!(shown.starts_with(&format!("{base}/invitation/")), "{shown}");
    let other = Browser::open(&base, 1280, true).await;
    other.go(shown.strip_prefix(&base).unwrap()).await;
    other.says("You are lena.").await;
    other.type_into("[name=password]", PASSWORD).await;
    other.type_into("[name=again]", PASSWORD).await;
    other.key(Key::Enter).await;
    other.until("signed in", async || other.path().await == "/").await;
    other.go(shown.strip_prefix(&base).unwrap()).await;
    other.says("This link is used up").await;
    browser.go(link.strip_prefix(&base).unwrap()).await;
    browser.says("This link is used up").await;
}
