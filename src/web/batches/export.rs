//! The whole ledger of a batch, page by page, so that its size does not matter.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream::try_unfold;

use super::super::Web;
use super::super::access::Caller;
use super::super::input::Asked;
use super::super::problem::Problem;
use super::{named, outcome};
use crate::shapes;
use crate::store::{Line, Store, StoreError};

/// Lines that are read at a time.
const LINES_AT_ONCE: usize = 1_000;

pub(in crate::web) async fn csv(
    web: State<Arc<Web>>,
    caller: Caller,
    id: Path<String>,
    query: Asked,
) -> Result<Response, Problem> {
    let heading = as_csv([shapes::BATCH_LINE_HEADINGS])?;
    let as_rows = |lines: &[Line]| as_csv(lines.iter().map(shapes::batch_line_cells));
    whole(web, caller, id, query, "csv", "text/csv; charset=utf-8", heading, as_rows).await
}

pub(in crate::web) async fn jsonl(
    web: State<Arc<Web>>,
    caller: Caller,
    id: Path<String>,
    query: Asked,
) -> Result<Response, Problem> {
    let as_objects = |lines: &[Line]| {
        Ok(lines.iter().map(|line| format!("{}\n", shapes::batch_line(line))).collect::<String>().into_bytes())
    };
    whole(web, caller, id, query, "jsonl", "application/jsonl; charset=utf-8", Vec::new(), as_objects).await
}

fn as_csv<C: AsRef<[u8]>, const N: usize>(rows: impl IntoIterator<Item = [C; N]>) -> Result<Vec<u8>, StoreError> {
    let mut table = csv::Writer::from_writer(Vec::new());
    let cannot = || StoreError::Corrupt { table: "batch_lines", column: "custom_id" };
    for row in rows {
        table.write_record(row).map_err(|_| cannot())?;
    }
    table.into_inner().map_err(|_| cannot())
}

#[allow(clippy::too_many_arguments, reason = "what a route is given, and what the two forms differ in")]
async fn whole(
    State(web): State<Arc<Web>>,
    _: Caller,
    Path(id): Path<String>,
    Asked(query): Asked,
    ending: &str,
    kind: &'static str,
    heading: Vec<u8>,
    form: impl Fn(&[Line]) -> Result<Vec<u8>, StoreError> + Copy + Send + 'static,
) -> Result<Response, Problem> {
    let outcome = outcome(query.outcome)?;
    let batch = named(&web, &id).await?;
    let rest = Rest { store: web.store.clone(), batch_id: batch.id.clone(), outcome, after: Some(0), heading };
    let pages = try_unfold(rest, move |rest| rest.page(form));
    let headers: [(HeaderName, HeaderValue); 2] = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CONTENT_DISPOSITION, attachment(&batch.id, ending)),
    ];
    Ok((headers, Body::from_stream(pages)).into_response())
}

/// The name of the file: an id of another program is whatever that has made it.
fn attachment(batch_id: &str, ending: &str) -> HeaderValue {
    let plain: String =
        batch_id.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-')).take(64).collect();
    HeaderValue::from_str(&format!("attachment; filename=\"{plain}-lines.{ending}\""))
        .unwrap_or(HeaderValue::from_static("attachment"))
}

/// What has not been written yet.
struct Rest {
    store: Store,
    batch_id: String,
    outcome: Option<String>,
    /// The last number that was written; none when all have been.
    after: Option<i64>,
    heading: Vec<u8>,
}

impl Rest {
    /// The next piece. An error in the middle breaks the connection off, so that
    /// nobody takes half a ledger for a whole one.
    async fn page(
        mut self,
        form: impl Fn(&[Line]) -> Result<Vec<u8>, StoreError>,
    ) -> Result<Option<(Bytes, Rest)>, StoreError> {
        let Some(after) = self.after else { return Ok(None) };
        let lines = self.store.batch_lines(self.batch_id.clone(), self.outcome.clone(), after, LINES_AT_ONCE).await?;
        self.after = lines.last().map(|line| line.number).filter(|_| lines.len() == LINES_AT_ONCE);
        let mut piece = std::mem::take(&mut self.heading);
        piece.extend(form(&lines)?);
        Ok(Some((Bytes::from(piece), self)))
    }
}
