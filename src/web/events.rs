//! Live pages: a stream that says when there is something new to look at. It
//! carries counts; whoever hears of a change asks for what they show.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::Stream;
use futures_util::stream::unfold;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Web;
use super::access::Caller;
use super::problem::Problem;
use crate::store::StoreError;

/// How often one process looks for all who listen to it.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A stream that says nothing says so, or what lies between would end it.
const BREATH: Duration = Duration::from_secs(15);

/// How long one stream lasts. The page opens another one by itself, and only whoever
/// is still let in gets it: nobody listens for much longer than they are signed in.
const LONGEST: Duration = Duration::from_mins(5);

/// When a page whose stream ended opens another one.
const AGAIN: Duration = Duration::from_millis(500);

/// How many may listen at once. Each holds a connection, and most of those are for
/// deliveries and for people who do something.
const MOST: usize = 500;
const SHARE: usize = 4;

/// Those who listen, and what they hear.
pub struct Events {
    told: watch::Sender<Value>,
    listeners: Arc<AtomicUsize>,
    /// Whether somebody looks for them.
    is_looking: AtomicBool,
    most: usize,
    stop: CancellationToken,
}

impl Events {
    /// Streams end with `stop`: they must not hold up a process that stops. Of
    /// `connections` at most they take a part.
    #[must_use]
    pub fn new(connections: usize, stop: CancellationToken) -> Events {
        Events {
            told: watch::Sender::new(Value::Null),
            listeners: Arc::default(),
            is_looking: AtomicBool::new(false),
            most: (connections / SHARE).clamp(1, MOST),
            stop,
        }
    }
}

/// One of those who listen; counts itself out.
struct Listener(Arc<AtomicUsize>);

impl Drop for Listener {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

pub(super) async fn listen(
    State(web): State<Arc<Web>>,
    _: Caller,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let events = &web.events;
    let before = events.listeners.fetch_add(1, Ordering::SeqCst);
    let listener = Listener(Arc::clone(&events.listeners));
    if before >= events.most {
        return Err(Problem::new(503, "Not now", "too many pages listen already; look again by yourself"));
    }
    let mut hears = events.told.subscribe();
    // Whoever comes hears at once how it stands, if anybody knows.
    hears.mark_changed();
    if !events.is_looking.swap(true, Ordering::SeqCst) {
        tokio::spawn(look(Arc::clone(&web)));
    }
    let until = Instant::now() + LONGEST;
    let stream = unfold((hears, listener, events.stop.clone()), move |(mut hears, listener, stop)| async move {
        let told = tokio::select! {
            () = stop.cancelled() => None,
            () = tokio::time::sleep_until(until) => None,
            told = newly(&mut hears) => told,
        }?;
        Some((Ok(Event::default().event("changed").retry(AGAIN).data(told.to_string())), (hears, listener, stop)))
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(BREATH)))
}

/// What differs from what was heard last; none when nobody tells any more.
async fn newly(hears: &mut watch::Receiver<Value>) -> Option<Value> {
    loop {
        hears.changed().await.ok()?;
        let told = hears.borrow_and_update().clone();
        if !told.is_null() {
            return Some(told);
        }
    }
}

/// Looks for as long as somebody listens.
async fn look(web: Arc<Web>) {
    let events = &web.events;
    loop {
        look_while_heard(&web).await;
        // Whoever comes next begins anew, and hears nothing old.
        events.told.send_replace(Value::Null);
        events.is_looking.store(false, Ordering::SeqCst);
        // Somebody may have come between the last look and that.
        let is_over = events.listeners.load(Ordering::SeqCst) == 0 || events.stop.is_cancelled();
        if is_over || events.is_looking.swap(true, Ordering::SeqCst) {
            return;
        }
    }
}

async fn look_while_heard(web: &Web) {
    let events = &web.events;
    while events.listeners.load(Ordering::SeqCst) > 0 && !events.stop.is_cancelled() {
        match numbers(web).await {
            Ok(now) => {
                events.told.send_if_modified(|told| {
                    let differs = *told != now;
                    *told = now;
                    differs
                });
            }
            // The pages say themselves that they cannot be read.
            Err(error) => tracing::debug!(%error, "nothing can be told to live pages"),
        }
        tokio::select! {
            () = events.stop.cancelled() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

async fn numbers(web: &Web) -> Result<Value, StoreError> {
    let newest = web.store.newest_numbers().await?;
    Ok(json!({
        "deliveries": newest.deliveries,
        "reviews": newest.reviews,
        "messages": newest.messages,
        "audit_trail": newest.audit_trail,
        "ended": newest.ended,
        "open_reviews": newest.open_reviews,
        "failed": newest.failed,
        "alerts": newest.alerts,
    }))
}
