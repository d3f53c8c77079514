//! The accept loop: bounded in connections, in the time a request may take to
//! say what it wants, and in the time a stopping process waits.
//!
//! `axum::serve` sets no timer, so a silent connection stays open for ever;
//! this loop closes it (see docs/decisions).

mod whole_body;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::Request;
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;

pub use whole_body::whole_body;

/// Largest head of a request, in bytes.
const MAX_HEAD_BYTES: usize = 32 * 1024;
/// Most header lines of a request.
const MAX_HEADERS: usize = 64;
/// After an accept that failed (no more file descriptors), before the next.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Bounds of the loop.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Open connections at most.
    pub max_connections: usize,
    /// Longest time for the head of a request, also of the next one on a kept
    /// connection, and longest time in which nothing of an answer is taken.
    pub header_timeout: Duration,
    /// How long a stopping process finishes what it has accepted.
    pub drain: Duration,
}

/// Serves until told to stop, then finishes what has been accepted.
pub async fn serve(listener: TcpListener, router: Router, limits: Limits, stop: CancellationToken) {
    let room = Arc::new(Semaphore::new(limits.max_connections));
    let graceful = GracefulShutdown::new();
    let builder = builder(limits);
    loop {
        // A place first: connections beyond the bound wait in the kernel's queue.
        let place = tokio::select! {
            () = stop.cancelled() => break,
            place = Arc::clone(&room).acquire_owned() => place,
        };
        let Ok(place) = place else { break };
        let (stream, peer) = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
        };
        let visit = Visit { peer, router: TowerToHyperService::new(router.clone()) };
        let connection = graceful.watch(connection(&builder, stream, limits.header_timeout, visit));
        tokio::spawn(async move {
            // Broken and slow connections are the sender's affair.
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection ended");
            }
            drop(place);
        });
    }
    drop(listener);
    if tokio::time::timeout(limits.drain, graceful.shutdown()).await.is_err() {
        tracing::warn!("stopping with requests under way");
    }
}

/// A connection whose writes may not stand still.
type Stream = TokioIo<std::pin::Pin<Box<TimeoutStream<TcpStream>>>>;

fn builder(limits: Limits) -> hyper::server::conn::http1::Builder {
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEADERS)
        .keep_alive(true);
    builder
}

fn connection(
    builder: &hyper::server::conn::http1::Builder,
    stream: TcpStream,
    write_timeout: Duration,
    visit: Visit,
) -> hyper::server::conn::http1::Connection<Stream, Visit> {
    // Answers are small; waiting to fill a packet only delays them.
    let _ = stream.set_nodelay(true);
    let mut stream = TimeoutStream::new(stream);
    // A caller that asks and never reads the answer would keep its place for ever.
    stream.set_write_timeout(Some(write_timeout));
    builder.serve_connection(TokioIo::new(Box::pin(stream)), visit)
}

/// One connection's requests: each says where it comes from.
struct Visit {
    peer: SocketAddr,
    router: TowerToHyperService<Router>,
}

impl Service<Request<Incoming>> for Visit {
    type Response = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Response;
    type Error = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Error;
    type Future = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Future;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(ConnectInfo(self.peer));
        self.router.call(request)
    }
}
