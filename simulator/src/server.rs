//! Accepting connections, so many and no more, until told to stop.

use crate::state::State;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

const MOST_CONNECTIONS: usize = 4096;

/// For the head of a request; an idle connection that is kept open counts too.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);

/// What calls under way may still take once told to stop.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// So long the listener rests when no connection can be accepted, as for want of descriptors.
const REST: Duration = Duration::from_millis(50);

pub(crate) async fn serve(state: Arc<State>, listener: TcpListener, router: Router) {
    let slots = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let stop = state.stop.clone();
    let accept = async {
        loop {
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
                return;
            };
            match listener.accept().await {
                Ok((socket, _)) => {
                    let serving = connection(Arc::clone(&state), socket, router.clone());
                    state.tracker.spawn(async move {
                        serving.await;
                        drop(slot);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(REST).await;
                }
            }
        }
    };
    stop.run_until_cancelled(accept).await;
}

async fn connection(state: Arc<State>, socket: TcpStream, router: Router) {
    let _ = socket.set_nodelay(true);
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(socket), TowerToHyperService::new(router));
    tokio::pin!(serving);
    // Errors are the other side hanging up, or the fault that hangs up on it.
    tokio::select! {
        _ = serving.as_mut() => {}
        () = state.stop.cancelled() => {
            serving.as_mut().graceful_shutdown();
            let _ = tokio::time::timeout(LAST_WORDS, serving).await;
        }
    }
}
