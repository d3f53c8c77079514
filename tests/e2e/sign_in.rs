//! Who gets in without a browser: by a cookie, by a trusted proxy, and not at all.

use frontdesk::app::Roles;
use frontdesk::domain::password;
use frontdesk::domain::person::{Person, Role};
use frontdesk::store::UserChange;
use serde_json::json;

use crate::desk::Desk;
use crate::wire::{Answer, Wire, ask, request};

const PASSWORD: &str = "correct horse battery";

async fn with_people(settings: &str) -> Desk {
    let desk = Desk::with(settings, Roles { worker: false, ..Roles::ALL }).await;
    let hash = password::hash(PASSWORD).unwrap();
    for (name, role) in [("lena", Role::Agent), ("ada", Role::Admin)] {
        let person = Person { name: name.to_owned(), role };
        assert!(desk.app.store.create_user(person, Some(hash.clone()), "test".to_owned(), 1).await.unwrap());
    }
    desk
}

async fn get(desk: &Desk, path: &str, head: &[(&str, &str)]) -> Answer {
    ask(desk.addr, &request("GET", path, head, b"")).await.unwrap()
}

async fn post_form(desk: &Desk, path: &str, head: &[(&str, &str)], form: &str) -> Answer {
    let mut all = vec![("content-type", "application/x-www-form-urlencoded")];
    all.extend_from_slice(head);
    ask(desk.addr, &request("POST", path, &all, form.as_bytes())).await.unwrap()
}

/// What a browser holds after it signed in.
async fn signed_in(desk: &Desk, name: &str, before: Option<&str>) -> String {
    let form = format!("name={name}&password={}", PASSWORD.replace(' ', "+"));
    let head: Vec<(&str, &str)> = before.map(|cookie| ("cookie", cookie)).into_iter().collect();
    let answer = post_form(desk, "/sign-in", &head, &form).await;
    assert_eq!(answer.status, 303, "{}", answer.text());
    answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned()
}

async fn who(desk: &Desk, head: &[(&str, &str)]) -> Option<String> {
    let answer = get(desk, "/api/v1/me", head).await;
    (answer.status == 200).then(|| answer.json()["name"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn signing_in_again_makes_another_session_and_ends_the_one_before() {
    let desk = with_people("").await;
    let first = signed_in(&desk, "lena", None).await;
    assert_eq!(who(&desk, &[("cookie", &first)]).await.as_deref(), Some("lena"));
    let second = signed_in(&desk, "lena", Some(&first)).await;
    assert_ne!(first, second);
    assert_eq!(who(&desk, &[("cookie", &first)]).await, None, "the old one is over");
    assert_eq!(who(&desk, &[("cookie", &second)]).await.as_deref(), Some("lena"));
    assert_eq!(post_form(&desk, "/sign-out", &[("cookie", &second)], "").await.status, 303);
    assert_eq!(who(&desk, &[("cookie", &second)]).await, None);
}

#[tokio::test]
async fn a_session_may_do_what_its_role_may_now_and_nothing_once_it_is_ended() {
    let desk = with_people("").await;
    let cookie = signed_in(&desk, "lena", None).await;
    let head = [("cookie", cookie.as_str())];
    assert_eq!(get(&desk, "/api/v1/users", &head).await.status, 403);
    assert_eq!(get(&desk, "/insights", &head).await.status, 403);
    let lead = UserChange { role: Some(Role::Lead), disabled: None };
    desk.app.store.change_user("lena".to_owned(), lead, "ada".to_owned(), 2).await.unwrap();
    assert_eq!(get(&desk, "/insights", &head).await.status, 200, "at once");
    let out = json!({"disabled": true});
    assert_eq!(desk.call("admin", "PATCH", "/users/lena", &out.to_string()).await.status, 200);
    assert_eq!(who(&desk, &head).await, None);
    assert_eq!(get(&desk, "/", &head).await.status, 303);
}

#[tokio::test]
async fn a_wrong_token_is_not_made_good_by_a_cookie() {
    let desk = with_people("").await;
    let cookie = signed_in(&desk, "ada", None).await;
    let head = [("cookie", cookie.as_str()), ("authorization", "Bearer fdt_wrong")];
    assert_eq!(get(&desk, "/api/v1/users", &head).await.status, 401);
}

#[tokio::test]
async fn a_trusted_proxy_says_who_somebody_is() {
    let settings = "[console.proxy]\nheader = \"X-Forwarded-User\"\nfrom = [\"127.0.0.1\"]\nothers = \"agent\"\n";
    let desk = with_people(settings).await;
    assert_eq!(who(&desk, &[("x-forwarded-user", "ada")]).await.as_deref(), Some("ada"));
    assert_eq!(get(&desk, "/setup", &[("x-forwarded-user", "ada")]).await.status, 200);
    assert_eq!(who(&desk, &[("x-forwarded-user", "omar@example.com")]).await.as_deref(), Some("omar@example.com"));
    assert_eq!(get(&desk, "/insights", &[("x-forwarded-user", "omar@example.com")]).await.status, 403, "an agent");
    assert_eq!(who(&desk, &[]).await, None, "who is not named is nobody");
    for odd in ["<script>", "lead", ""] {
        assert_eq!(who(&desk, &[("x-forwarded-user", odd)]).await, None, "{odd:?}");
    }
    let twice = [("x-forwarded-user", "ada"), ("x-forwarded-user", "omar")];
    assert_eq!(who(&desk, &twice).await, None, "nobody knows which one the proxy wrote");
    let out = UserChange { role: Some(Role::Lead), disabled: None };
    desk.app.store.change_user("lena".to_owned(), out, "ada".to_owned(), 2).await.unwrap();
    let out = UserChange { role: None, disabled: Some(true) };
    desk.app.store.change_user("lena".to_owned(), out, "ada".to_owned(), 3).await.unwrap();
    assert_eq!(who(&desk, &[("x-forwarded-user", "lena")]).await, None, "not by the proxy either");
    let foreign = [("x-forwarded-user", "ada"), ("origin", "https://evil.example")];
    assert_eq!(post_form(&desk, "/tickets", &foreign, "subject=x&body=y").await.status, 403);
}

#[tokio::test]
async fn nobody_else_is_believed_to_be_the_proxy() {
    let other = "[console.proxy]\nheader = \"X-Forwarded-User\"\nfrom = [\"10.1.2.3\"]\nothers = \"admin\"\n";
    for settings in ["", other] {
        let desk = with_people(settings).await;
        assert_eq!(who(&desk, &[("x-forwarded-user", "ada")]).await, None, "{settings}");
        assert_eq!(get(&desk, "/", &[("x-forwarded-user", "ada")]).await.status, 303);
    }
}

#[tokio::test]
async fn over_https_the_cookie_is_for_tls_and_this_host_alone() {
    let desk = with_people("public_url = \"https://desk\"\n").await;
    let form = format!("name=lena&password={}", PASSWORD.replace(' ', "+"));
    let answer = post_form(&desk, "/sign-in", &[("origin", "https://desk")], &form).await;
    let cookie = answer.header("set-cookie").unwrap();
    assert!(cookie.starts_with("__Host-frontdesk_session=") && cookie.ends_with("; Secure"), "{cookie}");
    assert!(cookie.contains("; Path=/;") && cookie.contains("; HttpOnly; SameSite=Lax"), "{cookie}");
    let policy = answer.header("content-security-policy");
    assert!(policy.is_some(), "also where there is nothing to show");
}

#[tokio::test]
async fn a_page_has_no_script_and_no_style_of_its_own_and_may_not_be_framed() {
    let desk = with_people("").await;
    let cookie = signed_in(&desk, "ada", None).await;
    for path in ["/", "/reviews", "/setup", "/nothing-here"] {
        let head = [("cookie", cookie.as_str()), ("accept", "text/html")];
        let answer = get(&desk, path, &head).await;
        let policy = answer.header("content-security-policy").unwrap().to_owned();
        assert!(policy.contains("script-src 'self'") && policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        let text = answer.text();
        assert!(text.starts_with("<!doctype html>"), "{path}: {text}");
        for wrong in [" style=", "<style", " onclick=", " onload=", "javascript:"] {
            assert!(!text.contains(wrong), "{path}: {wrong}");
        }
        assert_eq!(text.matches("<script").count(), 1, "{path}: the one file");
        assert!(text.len() < 100_000, "{path}: {} bytes", text.len());
    }
    let json = get(&desk, "/nothing-here", &[("accept", "application/json")]).await;
    assert_eq!((json.status, json.header("content-type")), (404, Some("application/problem+json")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_attempts_at_once_no_more_are_looked_at_than_one_after_the_other() {
    let desk = with_people("").await;
    let guesses = (0..40).map(|n| {
        let form = format!("name=lena&password=guess-number-{n:04}");
        let desk = &desk;
        async move { post_form(desk, "/sign-in", &[], &form).await.text() }
    });
    let said = futures_util::future::join_all(guesses).await;
    let looked_at = said.iter().filter(|text| !text.contains("Too many attempts")).count();
    assert_eq!(looked_at, 5, "{said:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_signs_in_well_is_no_failure_for_those_beside_them() {
    let desk = with_people("").await;
    for _ in 0..60 {
        signed_in(&desk, "lena", None).await;
    }
    signed_in(&desk, "ada", None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_form_that_never_ends_is_not_waited_for() {
    let desk = with_people("[http]\nbody_timeout = \"200ms\"\n").await;
    let mut wire = Wire::open(desk.addr).await;
    let head = "POST /sign-in HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 500000\r\n\r\nn";
    wire.write(head.as_bytes()).await.unwrap();
    assert_eq!(wire.status().await, Some(408));
}
