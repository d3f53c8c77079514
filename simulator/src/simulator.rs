//! Starting, steering and stopping a simulator.

use crate::api;
use crate::logs::{DeliveryLog, RequestLog};
use crate::server;
use crate::settings::{Access, Settings, StartError};
use crate::state::State;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;

/// A running simulator. Dropping it stops it without waiting.
pub struct Simulator {
    state: Arc<State>,
    address: SocketAddr,
}

impl std::fmt::Debug for Simulator {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Simulator({})", self.address)
    }
}

impl Simulator {
    /// Listens and serves in the background of the current runtime.
    pub async fn start(settings: Settings) -> Result<Simulator, StartError> {
        let state = Arc::new(State::new(&settings)?);
        let failed = |error| StartError::Listen(settings.listen, error);
        let listener = TcpListener::bind(settings.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let router = api::router(Arc::clone(&state));
        state.tracker.spawn(server::serve(Arc::clone(&state), listener, router));
        Ok(Simulator { state, address })
    }

    /// What `OPENAI_BASE_URL` must be: `http://127.0.0.1:PORT/v1`.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// Sends webhooks there from now on, retries included; `None`: sends none.
    pub fn set_webhook_url(&self, url: Option<String>) {
        self.state.tune(|tuning| tuning.webhook_url = url);
    }

    /// Lets callers in or keeps them out.
    pub fn set_access(&self, access: Access) {
        self.state.tune(|tuning| tuning.access = access);
    }

    /// Strikes so often from now on; what was created before keeps its fate.
    pub fn set_faults(&self, faults: Vec<(crate::Fault, f64)>) {
        self.state.tune(|tuning| tuning.faults = faults);
    }

    /// Follows another script from now on.
    pub fn set_script(&self, script: Vec<crate::Scripted>) {
        self.state.tune(|tuning| tuning.script = script);
    }

    /// The newest calls of the API, oldest first.
    pub fn requests(&self) -> Vec<RequestLog> {
        self.state.requests.all()
    }

    /// How many calls there were with this method and a path that starts so. Calls that have left
    /// the log are known by their route only, no longer by their ids.
    pub fn count(&self, method: &str, path_prefix: &str) -> u64 {
        self.state.requests.count(method, path_prefix)
    }

    /// The newest attempts to deliver webhooks, oldest first.
    pub fn deliveries(&self) -> Vec<DeliveryLog> {
        self.state.deliveries.all()
    }

    /// Resolves when no work is under way and no webhook waits to be sent, or sent again.
    pub async fn idle(&self) {
        self.state.pending.idle().await;
    }

    /// Stops: work and webhooks under way are given up, connections are closed.
    pub async fn shutdown(self) {
        self.state.stop.cancel();
        self.state.tracker.close();
        self.state.tracker.wait().await;
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.state.stop.cancel();
    }
}
