//! The style and the script: files of ours, kept by browsers for good, because
//! their addresses change with their content.

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::extract::Path;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sha2::{Digest as _, Sha256};

use super::{Console, no_such_page};
use crate::domain::id::hex;

struct Asset {
    kind: &'static str,
    text: &'static str,
    /// Below `/assets/`.
    name: String,
}

static STYLE: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("console", "css", "text/css; charset=utf-8", include_str!("assets/console.css")));
static SCRIPT: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("console", "js", "text/javascript; charset=utf-8", include_str!("assets/console.js")));
static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("icon", "svg", "image/svg+xml", include_str!("assets/icon.svg")));

impl Asset {
    fn new(stem: &str, ending: &str, kind: &'static str, text: &'static str) -> Asset {
        let hash = hex(&Sha256::digest(text)[..8]);
        Asset { kind, text, name: format!("{stem}-{hash}.{ending}") }
    }
}

/// Addresses of the style, the script and the icon.
pub(super) fn addresses() -> [String; 3] {
    [&STYLE, &SCRIPT, &ICON].map(|asset| format!("/assets/{}", asset.name))
}

pub(super) fn routes() -> Router<Arc<Console>> {
    Router::new().route("/assets/{name}", get(show))
}

async fn show(Path(name): Path<String>) -> Response {
    match [&STYLE, &SCRIPT, &ICON].into_iter().find(|asset| asset.name == name) {
        None => no_such_page().into_response(),
        Some(asset) => {
            let headers =
                [(header::CONTENT_TYPE, asset.kind), (header::CACHE_CONTROL, "public, max-age=31536000, immutable")];
            (headers, asset.text).into_response()
        }
    }
}
