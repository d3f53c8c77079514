//! Which batch a result of OpenAI's belongs to: our own part, tied by its id or
//! by what it carries along, or one of another program.

use crate::store::sql::{Connection, OptionalExtension, Row};
use serde_json::Value;

use super::finish::moving;
use super::given_up::{GIVEN_UP, take_back};
use crate::store::row::{json, next_seq};
use crate::store::{Store, StoreError, ledger};

/// One batch at OpenAI.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// `sub_…`, as its submission; of another program OpenAI's own id.
    pub id: String,
    /// The batch it is a part of.
    pub batch_id: String,
    /// The OpenAI project.
    pub project: String,
    /// From 1.
    pub number: i64,
    /// How many lines it has.
    pub lines: i64,
    /// The size of its input file.
    pub bytes: i64,
    /// The input file at OpenAI, once uploaded.
    pub file_id: Option<String>,
    /// OpenAI's id, once known.
    pub resource_id: Option<String>,
    /// OpenAI's word for how it ended.
    pub status: Option<String>,
    /// OpenAI's errors of its input, by line.
    pub errors: Value,
    /// What OpenAI counts, and what it used; shown, not trusted.
    pub said: Value,
    /// When both files had been read, in ms.
    pub read_at_ms: Option<i64>,
}

/// What is known of a batch that has ended at OpenAI.
#[derive(Debug, Clone)]
pub struct PlacePart {
    /// The OpenAI project.
    pub project: String,
    /// `batch_…`
    pub resource_id: String,
    /// The submission that its metadata names.
    pub submission_id: Option<String>,
    /// The workflow that its metadata names, when there is one of this name.
    pub workflow: Option<String>,
    /// When OpenAI made it, in ms.
    pub made_at_ms: Option<i64>,
    /// Now, in ms.
    pub now_ms: i64,
}

/// Where it belongs.
#[derive(Debug, Clone, PartialEq)]
pub enum PartPlace {
    /// Here.
    Part {
        /// The part.
        part: Box<Part>,
        /// The workflow of its batch.
        workflow: String,
        /// Whether another program started it: its lines are whatever its files hold.
        elsewhere: bool,
        /// When it was made, in ms; none when nobody knows.
        made_at_ms: Option<i64>,
    },
    /// To a part that has another batch at OpenAI already.
    Twin {
        /// The one that was there first.
        of: String,
    },
    /// It names no workflow that there is.
    Nowhere,
}

impl Store {
    /// Finds the batch that this belongs to, ties the two together, or makes a
    /// batch for work of another program.
    ///
    /// # Errors
    /// When the transaction could not be committed.
    pub async fn place_part(&self, given: PlacePart) -> Result<PartPlace, StoreError> {
        self.write(move |connection| place(connection, &given)).await
    }
}

impl Store {
    /// The part that a batch at OpenAI is; none when it is none of a batch here.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn part_of(&self, project: String, resource_id: String) -> Result<Option<Part>, StoreError> {
        self.look_up(move |connection| of_resource(connection, &project, &resource_id)).await
    }
}

fn place(connection: &Connection, given: &PlacePart) -> Result<PartPlace, StoreError> {
    if let Some(part) = of_resource(connection, &given.project, &given.resource_id)? {
        if part.status.as_deref() == Some(GIVEN_UP) {
            take_back(connection, &part.id, given.now_ms)?;
        }
        let part = of_id(connection, &given.project, &part.id)?.unwrap_or(part);
        return placed(connection, part, given.now_ms);
    }
    if let Some(id) = &given.submission_id
        && let Some(part) = of_id(connection, &given.project, id)?
    {
        if let Some(of) = part.resource_id {
            return Ok(PartPlace::Twin { of });
        }
        tie(connection, &given.project, &part.id, &given.resource_id, given.now_ms)?;
        let part = Part { resource_id: Some(given.resource_id.clone()), ..part };
        return placed(connection, part, given.now_ms);
    }
    let Some(workflow) = &given.workflow else { return Ok(PartPlace::Nowhere) };
    make_elsewhere(connection, given, workflow)?;
    match of_resource(connection, &given.project, &given.resource_id)? {
        Some(part) => placed(connection, part, given.now_ms),
        None => Err(StoreError::Missing("batch")),
    }
}

fn placed(connection: &Connection, part: Part, now_ms: i64) -> Result<PartPlace, StoreError> {
    // With the last of its parts all of it has ended at OpenAI.
    moving(connection, &part.batch_id, || {
        connection
            .prepare_cached(
                "UPDATE batches SET state = 'ended', since = ?3 WHERE id = ?1 AND state = 'submitted'
                   AND NOT EXISTS (SELECT 1 FROM batch_parts WHERE batch_id = ?1 AND id <> ?2 AND read_at IS NULL)",
            )?
            .execute((&part.batch_id, &part.id, now_ms))?;
        Ok(())
    })?;
    let (workflow, origin, made_at_ms): (String, String, Option<i64>) = connection
        .prepare_cached("SELECT workflow, origin, made_at FROM batches WHERE id = ?1")?
        .query_row([&part.batch_id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let elsewhere = origin == "elsewhere";
    Ok(PartPlace::Part { part: Box::new(part), workflow, elsewhere, made_at_ms })
}

/// OpenAI's batch is the one of this part, and of this part's submission.
pub(in crate::store) fn tie(
    connection: &Connection,
    project: &str,
    part_id: &str,
    resource_id: &str,
    now_ms: i64,
) -> Result<bool, StoreError> {
    let tied = connection
        .prepare_cached(
            "UPDATE batch_parts SET resource_id = ?3 WHERE id = ?1 AND project = ?2 AND resource_id IS NULL
               AND NOT EXISTS (SELECT 1 FROM batch_parts other WHERE other.project = ?2 AND other.resource_id = ?3)",
        )?
        .execute((part_id, project, resource_id))?;
    if tied == 1 {
        ledger::bind(connection, project, part_id, resource_id, now_ms)?;
    }
    Ok(tied == 1)
}

/// OpenAI's id is its id.
fn make_elsewhere(connection: &Connection, given: &PlacePart, workflow: &str) -> Result<(), StoreError> {
    let seq = next_seq(connection, "batches")?;
    moving(connection, &given.resource_id, || {
        connection
            .prepare_cached(
                "INSERT INTO batches (id, seq, project, workflow, state, since, origin, actor, created_at, made_at)
                 VALUES (?1, ?2, ?3, ?4, 'submitted', ?5, 'elsewhere', 'another program', ?5, ?6)",
            )?
            .execute((&given.resource_id, seq, &given.project, workflow, given.now_ms, given.made_at_ms))?;
        Ok(())
    })?;
    connection
        .prepare_cached(
            "INSERT INTO batch_parts (id, batch_id, project, number, resource_id) VALUES (?1, ?1, ?2, 1, ?1)",
        )?
        .execute((&given.resource_id, &given.project))?;
    Ok(())
}

fn of_resource(connection: &Connection, project: &str, resource_id: &str) -> Result<Option<Part>, StoreError> {
    connection
        .prepare_cached("SELECT * FROM batch_parts WHERE resource_id = ?1 AND project = ?2")?
        .query_row((resource_id, project), |row| Ok(read(row)))
        .optional()?
        .transpose()
}

fn of_id(connection: &Connection, project: &str, id: &str) -> Result<Option<Part>, StoreError> {
    connection
        .prepare_cached("SELECT * FROM batch_parts WHERE id = ?1 AND project = ?2")?
        .query_row((id, project), |row| Ok(read(row)))
        .optional()?
        .transpose()
}

/// The parts of a batch, in order.
pub(super) fn parts(connection: &Connection, batch_id: &str) -> Result<Vec<Part>, StoreError> {
    let mut list = connection.prepare_cached("SELECT * FROM batch_parts WHERE batch_id = ?1 ORDER BY number")?;
    list.query_map([batch_id], |row| Ok(read(row)))?.map(|row| row?).collect()
}

fn read(row: &Row<'_>) -> Result<Part, StoreError> {
    let stated = |column| -> Result<Value, StoreError> {
        let text: Option<String> = row.get(column)?;
        text.map_or(Ok(Value::Null), |text| json(&text, "batch_parts", column))
    };
    Ok(Part {
        id: row.get("id")?,
        batch_id: row.get("batch_id")?,
        project: row.get("project")?,
        number: row.get("number")?,
        lines: row.get("lines")?,
        bytes: row.get("bytes")?,
        file_id: row.get("file_id")?,
        resource_id: row.get("resource_id")?,
        status: row.get("status")?,
        errors: stated("errors")?,
        said: stated("said")?,
        read_at_ms: row.get("read_at")?,
    })
}
