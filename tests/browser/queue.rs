//! The queue of reviews: cleared by keyboard, by two people at once, with changes of mind.

use fantoccini::key::Key;
use frontdesk_simulator::{Fault, Scripted};
use serde_json::json;

use crate::browser::Browser;
use crate::place::{PASSWORD, Place};

#[tokio::test]
async fn an_agent_clears_the_queue_without_touching_the_mouse() {
    let place = Place::with("[policy]\n").await;
    let mut ids = Vec::new();
    for ticket in ["T-1", "T-2", "T-3"] {
        ids.push(place.draft(ticket).await["id"].as_str().unwrap().to_owned());
    }
    let lena = place.browser_of("lena").await;
    lena.keys("gq").await;
    lena.says("Take the next one").await;
    lena.keys("j").await;
    lena.find("tr.current").await;
    lena.key(Key::Enter).await;
    lena.until("the first review", async || lena.path().await == format!("/reviews/{}", ids[0])).await;
    lena.keys("e").await;
    lena.find("#text:focus").await;
    lena.keys(" We are open from ten.").await;
    lena.client
        .active_element()
        .await
        .unwrap()
        .send_keys(&format!("{}{}", char::from(Key::Control), char::from(Key::Enter)))
        .await
        .unwrap();
    lena.until("the second one", async || lena.path().await.starts_with(&format!("/reviews/{}", ids[1]))).await;
    lena.says("Approved.").await;
    lena.keys("a").await;
    lena.until("the third one", async || lena.path().await.starts_with(&format!("/reviews/{}", ids[2]))).await;
    lena.keys("r").await;
    lena.find("[data-number]:focus").await;
    lena.keys("4").await;
    lena.key(Key::Enter).await;
    lena.says("The queue is clear").await;
    let states = [0, 1, 2].map(|at: usize| ids[at].clone());
    let mut now = Vec::new();
    for id in &states {
        now.push(place.review_now(id).await);
    }
    assert_eq!(
        now.iter().map(|review| review["state"].as_str().unwrap()).collect::<Vec<_>>(),
        ["approved", "approved", "rejected"]
    );
    assert!(now[0]["text"].as_str().unwrap().ends_with("We are open from ten."));
    assert_eq!((now[1]["text"].clone(), now[2]["decision_reason"].as_str()), (json!(null), Some("tone")));
    assert!(now.iter().all(|review| review["decided_by"] == "lena"));
    lena.keys("?").await;
    lena.says("Turn the single-letter keys off").await;
}

#[tokio::test]
async fn a_decision_is_taken_back_while_the_time_runs() {
    let place = Place::open().await;
    let id = place.draft("T-1").await["id"].as_str().unwrap().to_owned();
    let lena = place.browser_of("lena").await;
    lena.go(&format!("/reviews/{id}")).await;
    lena.click("#approve").await;
    lena.find("#undo").await;
    assert_eq!(place.review_now(&id).await["state"], "approved");
    lena.keys("z").await;
    lena.says("Taken back.").await;
    let back = place.review_now(&id).await;
    assert_eq!((back["state"].as_str(), back["claimed_by"].as_str()), (Some("claimed"), Some("lena")));
}

#[tokio::test]
async fn two_people_on_one_item_are_one_who_decides_and_one_who_is_told() {
    let place = Place::open().await;
    let id = place.draft("T-1").await["id"].as_str().unwrap().to_owned();
    let (lena, omar) = (place.browser_of("lena").await, place.browser_of("omar").await);
    for browser in [&lena, &omar] {
        browser.go(&format!("/reviews/{id}")).await;
    }
    lena.keys("c").await;
    lena.says("You have this until").await;
    omar.click("#approve").await;
    omar.says("the review has changed since").await;
    omar.go(&format!("/reviews/{id}")).await;
    omar.says("lena is reviewing this").await;
    assert_eq!(omar.find("#approve").await.attr("disabled").await.unwrap().as_deref(), Some("true"));
    omar.says("Not to be approved: lena has it").await;
    lena.keys("a").await;
    lena.find("#undo").await;
    assert_eq!(place.review_now(&id).await["decided_by"], "lena");
}

#[tokio::test]
async fn a_draft_that_the_customer_overtook_says_so_and_is_not_sent() {
    let place = Place::open().await;
    let id = place.draft("T-1").await["id"].as_str().unwrap().to_owned();
    let more = json!({"author": "customer", "body": "Never mind."});
    assert_eq!(place.desk.post("agent", "/tickets/T-1/messages", more).await.status, 201);
    let lena = place.browser_of("lena").await;
    lena.go(&format!("/reviews/{id}")).await;
    let text = lena.text().await;
    assert!(text.contains("the customer wrote again") || text.contains("It no longer fits"), "{text}");
    let approve = lena.script("const b = document.querySelector('#approve'); return !b || b.disabled").await;
    assert_eq!(approve, json!(true));
}

#[tokio::test]
async fn what_happens_shows_by_itself_and_no_row_moves_under_a_hand() {
    let place = Place::open().await;
    place.draft("T-1").await;
    let mia = place.browser_of("mia").await;
    mia.go("/").await;
    mia.until("one waits", async || mia.script("return document.title").await.as_str().unwrap().contains("(1)")).await;
    let lena = place.browser_of("lena").await;
    lena.go("/reviews").await;
    place.draft("T-2").await;
    mia.until("two wait", async || mia.script("return document.title").await.as_str().unwrap().contains("(2)")).await;
    lena.until("there is something new", async || {
        lena.script("return !document.querySelector('#news').hidden").await == json!(true)
    })
    .await;
    assert_eq!(lena.script("return document.querySelectorAll('[data-row]').length").await, json!(1));
    lena.click("[data-reload]").await;
    lena.until("both rows", async || {
        lena.script("return document.querySelectorAll('[data-row]').length").await == json!(2)
    })
    .await;
}

#[tokio::test]
async fn all_of_it_works_without_scripts() {
    let place = Place::open().await;
    let (one, two) = (place.draft("T-1").await, place.draft("T-2").await);
    let browser = Browser::open(&place.base, 1280, false).await;
    browser.sign_in("lena", PASSWORD).await;
    browser.click("a[href='/reviews']").await;
    browser.click("form[action='/reviews/next'] button").await;
    browser.find("#text").await;
    browser.type_into("#text", " And more.").await;
    browser.click("button[formaction$='/compare']").await;
    assert!(browser.find("#diff ins").await.text().await.unwrap().contains("more."));
    browser.click("#approve").await;
    browser.find("#undo button").await;
    let approved = place.review_now(one["id"].as_str().unwrap()).await;
    assert!(approved["text"].as_str().unwrap().ends_with("And more."), "{approved}");
    browser.click("details.reject summary").await;
    browser.click("[name=reason][value=wrong_facts]").await;
    browser.click("#reject button").await;
    browser.find(".empty").await;
    let rejected = place.review_now(two["id"].as_str().unwrap()).await;
    assert_eq!(rejected["decision_reason"], "wrong_facts");
    browser.click("#undo button").await;
    browser.find("#decide").await;
    let back = place.review_now(two["id"].as_str().unwrap()).await;
    assert_eq!(back["state"], "claimed");
}

#[tokio::test]
async fn what_is_sensitive_is_approved_by_saying_so_twice_with_scripts_and_without() {
    let place = Place::open().await;
    for (ticket, scripts) in [("T-1", true), ("T-2", false)] {
        place.ticket(ticket, "Money back", "I want a refund for my order.").await;
        let id = place.review(ticket, "draft_reply").await["id"].as_str().unwrap().to_owned();
        let lena = Browser::open(&place.base, 1280, scripts).await;
        lena.sign_in("lena", PASSWORD).await;
        lena.go(&format!("/reviews/{id}")).await;
        lena.click("#approve").await;
        lena.says("read it once more").await;
        assert_eq!(place.review_now(&id).await["state"], "open");
        lena.click("#approve").await;
        lena.says("Approved.").await;
        assert_eq!(place.review_now(&id).await["state"], "approved");
    }
}

#[tokio::test]
async fn whoever_goes_on_without_deciding_does_not_keep_what_they_looked_at() {
    let place = Place::open().await;
    let mut ids = Vec::new();
    for ticket in ["T-1", "T-2"] {
        ids.push(place.draft(ticket).await["id"].as_str().unwrap().to_owned());
    }
    let lena = place.browser_of("lena").await;
    lena.go("/reviews?workflow=draft_reply").await;
    lena.keys("n").await;
    lena.until("the first", async || lena.path().await.starts_with(&format!("/reviews/{}", ids[0]))).await;
    lena.keys("n").await;
    lena.until("the second", async || lena.path().await.starts_with(&format!("/reviews/{}", ids[1]))).await;
    assert_eq!(place.review_now(&ids[0]).await["claimed_by"], json!(null));
    assert_eq!(place.review_now(&ids[1]).await["claimed_by"], "lena");
    lena.key(Key::Escape).await;
    lena.until("the same part of the queue", async || lena.path().await == "/reviews?workflow=draft_reply").await;
}

#[tokio::test]
async fn a_category_is_corrected_by_keyboard_and_then_approved() {
    let place = Place::open().await;
    let unsure = vec![Fault::LowConfidence];
    place.desk.simulator.set_script(vec![Scripted { key: "ticket_id".into(), value: "T-1".into(), faults: unsure }]);
    place.ticket("T-1", "Opening hours", "Are you open on Monday?").await;
    let id = place.review("T-1", "classification").await["id"].as_str().unwrap().to_owned();
    let lena = place.browser_of("lena").await;
    lena.go(&format!("/reviews/{id}")).await;
    lena.keys("l").await;
    lena.find("[name=intent]:focus").await;
    lena.keys("warranty").await;
    lena.key(Key::Enter).await;
    lena.says("Approved.").await;
    let now = place.review_now(&id).await;
    assert_eq!((now["state"].as_str(), now["route"]["intent"].as_str()), (Some("approved"), Some("warranty")));
}

#[tokio::test]
async fn a_lead_rejects_many_at_once_and_approves_none_that_a_customer_would_see() {
    let place = Place::open().await;
    let mut ids = Vec::new();
    for ticket in ["T-1", "T-2"] {
        ids.push(place.draft(ticket).await["id"].as_str().unwrap().to_owned());
    }
    let mia = place.browser_of("mia").await;
    mia.go("/reviews").await;
    mia.keys("j").await;
    mia.keys("x").await;
    mia.keys("j").await;
    mia.keys("x").await;
    mia.click("#many button").await;
    mia.says("Left out: 2").await;
    mia.says("a customer would see it").await;
    mia.go("/reviews").await;
    for id in &ids {
        mia.click(&format!("[data-row={id}] input")).await;
    }
    mia.find("#many [name=action]").await.select_by_value("reject").await.unwrap();
    mia.find("#many [name=reason]").await.select_by_value("not_needed").await.unwrap();
    mia.click("#many button").await;
    mia.says("2 of them would be rejected").await;
    assert_eq!(place.review_now(&ids[0]).await["state"], "open", "nothing is done yet");
    mia.click("main form button").await;
    mia.says("2 rejected.").await;
    for id in &ids {
        let now = place.review_now(id).await;
        assert_eq!((now["state"].as_str(), now["decision_reason"].as_str()), (Some("rejected"), Some("not_needed")));
    }
    mia.keys("z").await;
    mia.says("Taken back.").await;
    for id in &ids {
        assert_eq!(place.review_now(id).await["state"], "claimed");
    }
}
