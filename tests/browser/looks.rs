//! Every page, as many people see it: by axe-core, at three widths, light and dark.

use serde_json::{Value, json};

use crate::browser::{Browser, screenshots};
use crate::place::{PASSWORD, Place, axe};

/// An address and what its pictures are called.
pub struct Page {
    pub path: &'static str,
    pub name: &'static str,
    pub needs_person: bool,
}

const fn page(path: &'static str, name: &'static str) -> Page {
    Page { path, name, needs_person: true }
}

/// Every kind of page. `REVIEW` and the like are filled in with what there is.
pub const PAGES: [Page; 22] = [
    Page { path: "/sign-in", name: "sign-in", needs_person: false },
    page("/", "today"),
    page("/reviews", "reviews"),
    page("/reviews?view=mine", "reviews-empty"),
    page("/reviews/REVIEW", "review"),
    page("/reviews/HELD", "review-without-a-text"),
    page("/reviews/STALE", "review-stale"),
    page("/reviews/CLAIMED", "review-of-somebody-else"),
    page("/deliveries", "deliveries"),
    page("/deliveries/DELIVERY", "delivery"),
    page("/jobs", "jobs"),
    page("/jobs?status=failed_final", "jobs-failed"),
    page("/jobs/job_1", "job"),
    page("/tickets", "tickets"),
    page("/tickets/T-1", "ticket"),
    page("/batches", "batches"),
    page("/batches/BATCH", "batch"),
    page("/insights", "insights"),
    page("/policy", "policy"),
    page("/setup", "setup"),
    page("/me", "me"),
    page("/why?id=T-1", "why"),
];

/// A desk on which each page has something to show.
pub async fn lively() -> (Place, Vec<(&'static str, String)>) {
    let place = Place::with("[batch]\npreview_over = 1\n").await;
    let review = place.draft("T-1").await;
    place.ticket("T-2", "I want my money back", "Refund me, or I go to court!").await;
    let held = place.review("T-2", "classification").await;
    place.ticket("T-3", "Lamp", "It is dark.").await;
    let stale = place.draft("T-4").await;
    let more = json!({"author": "customer", "body": "Never mind."});
    assert_eq!(place.desk.post("agent", "/tickets/T-4/messages", more).await.status, 201);
    let claimed = place.draft("T-5").await;
    let path = format!("/reviews/{}/claim", claimed["id"].as_str().unwrap());
    assert_eq!(place.desk.post("agent", &path, json!({"version": 1})).await.status, 200);
    // What there is to draw: how far things had come, every ten minutes.
    let now_ms = place.desk.app.store.clock().now_ms();
    for ago in (1..6).rev() {
        place.desk.app.store.sample(now_ms - ago * 600_000).await.unwrap();
    }
    let asked = json!({"workflow": "classification", "ticket_ids": ["T-1", "T-3"]});
    let batch = place.desk.post("lead", "/batches", asked).await;
    assert_eq!(batch.status, 202, "{}", batch.text());
    let batch = batch.json()["batch_id"].as_str().unwrap().to_owned();
    crate::wire::until("the batch to wait", async || {
        let now = place.desk.get(&format!("/batches/{batch}")).await;
        (now["state"] == "waiting").then_some(())
    })
    .await;
    let delivery = place.desk.get("/deliveries?limit=1").await["items"][0]["delivery_id"].as_str().unwrap().to_owned();
    let id = |value: &Value| value["id"].as_str().unwrap().to_owned();
    let names = vec![
        ("REVIEW", id(&review)),
        ("STALE", id(&stale)),
        ("CLAIMED", id(&claimed)),
        ("HELD", id(&held)),
        ("DELIVERY", delivery),
        ("BATCH", batch),
    ];
    (place, names)
}

pub fn filled(path: &str, names: &[(&'static str, String)]) -> String {
    names.iter().fold(path.to_owned(), |path, (name, id)| path.replace(name, id))
}

async fn faults(browser: &Browser, axe: &str) -> Vec<String> {
    browser.script(axe).await;
    let run = "const done = arguments[arguments.length - 1];
        axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']})
           .then(found => done(found.violations.map(v => v.id + ': ' + v.nodes.map(n => n.target.join(' ') + ' — ' + n.failureSummary).join(' | '))),
                 error => done(['axe failed: ' + error]));";
    let found = browser.client.execute_async(run, vec![]).await.unwrap();
    found.as_array().unwrap().iter().map(|fault| fault.as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn every_page_is_accessible_fits_narrow_screens_and_obeys_its_own_policy() {
    let (place, names) = lively().await;
    let (ada, axe) = (place.browser_of("ada").await, axe());
    let mut found = Vec::new();
    ada.complaints().await;
    for page in PAGES.iter().filter(|page| page.needs_person) {
        for (width, theme) in [(1280, "light"), (1280, "dark"), (320, "light")] {
            ada.look(width, theme).await;
            ada.go(&filled(page.path, &names)).await;
            ada.find("main h1").await;
            let wide = ada.script("return document.documentElement.scrollWidth").await.as_u64().unwrap();
            if wide > u64::from(width) {
                let script = "return [...document.querySelectorAll('main *')].filter(one => one.getBoundingClientRect().right > innerWidth + 1 && !one.closest('.table')).map(one => one.outerHTML.slice(0, 120)).slice(0, 3).join(' | ')";
                let what = ada.script(script).await;
                found.push(format!("{} at {width}: scrolls sideways, {wide} wide: {what}", page.name));
            }
            let faults = faults(&ada, &axe).await;
            found.extend(faults.iter().map(|fault| format!("{} {width} {theme}: {fault}", page.name)));
        }
    }
    found.extend(ada.complaints().await);
    assert!(found.is_empty(), "{}", found.join("\n"));
    let stranger = Browser::open(&place.base, 1280, true).await;
    stranger.go("/sign-in").await;
    assert_eq!(faults(&stranger, &axe).await, Vec::<String>::new());
}

#[tokio::test]
async fn pictures_of_every_page_are_kept_at_three_widths_in_both_themes() {
    let (place, names) = lively().await;
    let ada = place.browser_of("ada").await;
    let folder = screenshots();
    let _ = std::fs::remove_dir_all(&folder);
    for page in PAGES.iter().filter(|page| page.needs_person) {
        for width in [360, 768, 1280] {
            for theme in ["light", "dark"] {
                ada.look(width, theme).await;
                ada.go(&filled(page.path, &names)).await;
                ada.find("main h1").await;
                ada.screenshot(&format!("{}-{width}-{theme}", page.name)).await;
            }
        }
    }
    let kept = std::fs::read_dir(&folder).unwrap().count();
    let stranger = Browser::open(&place.base, 1280, true).await;
    for width in [360, 768, 1280] {
        for theme in ["light", "dark"] {
            stranger.look(width, theme).await;
            stranger.go("/sign-in").await;
            stranger.screenshot(&format!("sign-in-{width}-{theme}")).await;
        }
    }
    assert_eq!(kept, PAGES.iter().filter(|page| page.needs_person).count() * 6);
}

#[tokio::test]
async fn every_page_can_be_read_without_scripts() {
    let (place, names) = lively().await;
    let browser = Browser::open(&place.base, 768, false).await;
    browser.sign_in("ada", PASSWORD).await;
    for page in PAGES.iter().filter(|page| page.needs_person) {
        browser.go(&filled(page.path, &names)).await;
        let heading = browser.find("main h1").await.text().await.unwrap();
        assert!(!heading.is_empty() && heading != "Something went wrong", "{}", page.path);
    }
}
