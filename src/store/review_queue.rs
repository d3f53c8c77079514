//! The queue of reviews, as the people see it who clear it: the oldest first, and
//! what each of them may do.

use super::deciding::{Act, load};
use super::reviews::{Review, read_rows};
use super::sql::{Connection, OptionalExtension, params};
use super::{LOOKED_AT, Page, PageRequest, Store, StoreError};
use crate::domain::person::Person;
use crate::domain::review::{Action, Refused, RejectReason};

/// Which of the reviews that wait; what is none is any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueueFilter {
    /// Why it is held.
    pub reason: Option<String>,
    /// A sensitive topic found.
    pub topic: Option<String>,
    /// The workflow.
    pub workflow: Option<String>,
    /// Who has it.
    pub claimed_by: Option<String>,
}

/// What somebody may do with a review.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct May {
    /// Each action, and why not.
    pub actions: Vec<(&'static str, Option<Refused>)>,
    /// Whether there is a text in it that a person could change or write.
    pub takes_text: bool,
}

impl Store {
    /// Reviews that wait for somebody, the oldest first; the cursor is a number
    /// below those of the page.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn waiting_reviews(&self, filter: QueueFilter, page: PageRequest) -> Result<Page<Review>, StoreError> {
        self.read(move |connection| {
            let after = page.cursor.unwrap_or(0);
            let end = end_of_stretch(connection, after)?;
            let items = waiting(connection, &filter, (after, end), page.limit_and_one())?;
            let more = items.len() > page.limit;
            let items: Vec<Review> = items.into_iter().take(page.limit).collect();
            let next = if more { items.last().map(|review| review.seq) } else { end };
            Ok(Page { items, next })
        })
        .await
    }

    /// What `person` may do with a review at `now_ms`. None when there is no such review.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn may_act_on_review(&self, id: String, person: Person, now_ms: i64) -> Result<Option<May>, StoreError> {
        self.read(move |connection| {
            let Some(row) = load(connection, &id)? else { return Ok(None) };
            let may = |action: &Action| row.review.act(action, row.review.version, &person, now_ms, 1).err();
            let actions = actions().iter().map(|(word, action)| (*word, may(action))).collect();
            Ok(Some(May { actions, takes_text: row.review.takes_text }))
        })
        .await
    }

    /// Claims the oldest review that waits, that nobody has, and that this person
    /// may decide; `act` says who and for how long. None when there is none.
    ///
    /// # Errors
    /// When the transaction could not be committed.
    pub async fn claim_next_review(&self, act: Act, filter: QueueFilter) -> Result<Option<Review>, StoreError> {
        let mut after = 0;
        loop {
            // Looked for while others write; whether it is still free, the claim itself says.
            let page = PageRequest { limit: PageRequest::MAX_LIMIT, cursor: Some(after) };
            let page = self.waiting_reviews(filter.clone(), page).await?;
            let is_free = |review: &&Review| {
                let is_held = review.claimed_until_ms.is_some_and(|until| until > act.now_ms);
                !is_held && act.person.is_among(&review.reviewers)
            };
            for review in page.items.iter().filter(is_free) {
                let act = Act { review: review.id.clone(), version: Some(review.version), ..act.clone() };
                if let Some(Ok(claimed)) = self.act_on_review(act).await? {
                    return Ok(Some(claimed));
                }
            }
            match page.next {
                Some(next) => after = next,
                None => return Ok(None),
            }
        }
    }
}

/// Everything that can be done, with as little said as is possible.
fn actions() -> [(&'static str, Action); 7] {
    [
        ("claim", Action::Claim),
        ("release", Action::Release),
        ("approve", Action::Approve { text: None }),
        ("approve_text", Action::Approve { text: Some("text".to_owned()) }),
        ("reject", Action::Reject { reason: RejectReason::Other, said: String::new() }),
        ("escalate", Action::Escalate { said: String::new() }),
        ("undo", Action::Undo),
    ]
}

/// The last number that a page from `after` on looks at; none when it looks at all.
fn end_of_stretch(connection: &Connection, after: i64) -> Result<Option<i64>, StoreError> {
    let mut ends = Vec::new();
    for state in ["open", "claimed"] {
        let sql = "SELECT seq FROM reviews INDEXED BY reviews_state WHERE state = ?1 AND seq > ?2 ORDER BY seq LIMIT 1 OFFSET ?3";
        let found: Option<i64> =
            connection.prepare_cached(sql)?.query_row((state, after, LOOKED_AT - 1), |row| row.get(0)).optional()?;
        ends.extend(found);
    }
    Ok(ends.into_iter().min())
}

fn waiting(
    connection: &Connection,
    filter: &QueueFilter,
    (after, end): (i64, Option<i64>),
    limit: i64,
) -> Result<Vec<Review>, StoreError> {
    let QueueFilter { reason, topic, workflow, claimed_by } = filter;
    let topic = topic.as_ref().map(|topic| serde_json::Value::from(topic.as_str()).to_string());
    let mut found = Vec::new();
    for state in ["open", "claimed"] {
        let sql = "SELECT * FROM reviews INDEXED BY reviews_state WHERE state = ?1 AND seq > ?2 AND seq <= ?3
               AND (?4 IS NULL OR reason = ?4) AND (?5 IS NULL OR instr(topics, ?5) > 0)
               AND (?6 IS NULL OR workflow = ?6) AND (?7 IS NULL OR claimed_by = ?7)
             ORDER BY seq LIMIT ?8";
        let end = end.unwrap_or(i64::MAX);
        found.extend(read_rows(
            connection,
            sql,
            params![state, after, end, reason, topic, workflow, claimed_by, limit],
        )?);
    }
    found.sort_unstable_by_key(|review| review.seq);
    found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(found)
}
