//! Whatever comes from outside is text: of customers, of models, of those who name things.

use serde_json::json;

use crate::looks::{PAGES, filled, lively};

/// Each would set `window.hit`, or break out of where it stands.
const PLANTED: &str = "</textarea></pre></script><img src=x onerror=\"window.hit=1\"><script>window.hit=2</script>\"><svg onload='window.hit=3'>{{ 7*7 }}<a href=\"javascript:window.hit=4\">go</a>";

#[tokio::test]
async fn markup_in_any_field_is_shown_as_the_text_it_is() {
    let (place, mut names) = lively().await;
    let ticket = json!({"id": "T-9", "subject": PLANTED, "queue": "<b>queue", "tags": ["<i>tag</i>", "\"><script>window.hit=5</script>"],
        "messages": [{"author": "customer", "body": PLANTED}, {"author": "agent", "body": PLANTED}]});
    assert_eq!(place.desk.post("agent", "/tickets", ticket).await.status, 201);
    let review = place.review("T-9", "draft_reply").await;
    let id = review["id"].as_str().unwrap().to_owned();
    let escalated = json!({"version": review["version"], "reason": PLANTED});
    assert_eq!(place.desk.post("lead", &format!("/reviews/{id}/escalate"), escalated).await.status, 200);
    let patch = json!({"intent": "<script>window.hit=6</script>", "status": "<u>open"});
    assert_eq!(place.desk.call("agent", "PATCH", "/tickets/T-9", &patch.to_string()).await.status, 200);
    let pause = json!({"kind": "workflow", "name": "extraction", "reason": "<img src=x onerror=window.hit=7>"});
    assert_eq!(place.desk.post("lead", "/pauses", pause).await.status, 201);
    assert_eq!(
        place
            .desk
            .post("admin", "/tokens", json!({"name": "<script>window.hit=8</script>", "role": "agent"}))
            .await
            .status,
        201
    );
    names.retain(|(name, _)| *name != "REVIEW");
    names.push(("REVIEW", id));
    let ada = place.browser_of("ada").await;
    ada.complaints().await;
    let more = [
        "/tickets/T-9",
        "/why?id=%3Cscript%3Ewindow.hit%3D9%3C%2Fscript%3E",
        "/deliveries?q=%22%3E%3Csvg+onload%3Dwindow.hit%3D10%3E",
        "/reviews/%3Cimg%20src%3Dx%20onerror%3Dwindow.hit%3D11%3E",
        "/reviews?reason=%22%3E%3Cscript%3Ewindow.hit%3D12%3C%2Fscript%3E",
        "/?done=%3Cscript%3E",
    ];
    for path in PAGES.iter().map(|page| page.path).filter(|path| *path != "/sign-in").chain(more) {
        ada.go(&filled(path, &names)).await;
        ada.find("main").await;
        assert_eq!(ada.script("return window.hit === undefined").await, json!(true), "{path}");
        let made = ada.script("return document.querySelectorAll('main img[src=x], main svg:not(.chart), main script, a[href^=javascript]').length").await;
        assert_eq!(made, json!(0), "{path}");
    }
    ada.go(&filled("/reviews/REVIEW", &names)).await;
    let text = ada.text().await;
    assert!(text.contains("<img src=x onerror=") && text.contains("{{ 7*7 }}"), "{text}");
    let complaints: Vec<String> =
        ada.complaints().await.into_iter().filter(|line| line.contains("Content Security Policy")).collect();
    assert_eq!(complaints, Vec::<String>::new(), "the policy never had to stop anything");
}
