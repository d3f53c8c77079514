//! The queue of reviews, as the people see it who clear it: the oldest first, and
//! what each of them may do.

use super::deciding::{Act, load};
use super::reviews::{self, Review, read_rows};
use super::row::json;
use super::sql::{Connection, OptionalExtension, Row, ToValue, params};
use super::{LOOKED_AT, Page, PageRequest, Store, StoreError, desk};
use crate::domain::effect::{Effect, Route};
use crate::domain::hold::HoldReason;
use crate::domain::person::Person;
use crate::domain::review::{Action, NotTogether, Refused, RejectReason, Together};
use crate::domain::ticket::Seen;

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

/// A review as somebody sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Looked {
    /// As it stands.
    pub review: Review,
    /// What they may do with it.
    pub may: May,
    /// What has happened to the ticket since, which an approval would find out.
    pub moved_on: Option<&'static str>,
}

/// What somebody may do with a review.
#[derive(Debug, Clone, PartialEq)]
pub struct May {
    /// Each action, and why not.
    pub actions: Vec<(&'static str, Option<Refused>)>,
    /// Whether there is a text in it that a person could change or write.
    pub takes_text: bool,
    /// What the ticket would be about, which they could correct.
    pub route: Option<Route>,
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

    /// A review as `person` sees it at `now_ms`. None when there is no such review.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn look_at_review(&self, id: String, person: Person, now_ms: i64) -> Result<Option<Looked>, StoreError> {
        self.read(move |connection| {
            let (Some(row), Some(review)) = (load(connection, &id)?, reviews::one(connection, &id)?) else {
                return Ok(None);
            };
            let may = |action: &Action| row.review.act(action, row.review.version, &person, now_ms, 1).err();
            let actions = actions().iter().map(|(word, action)| (*word, may(action))).collect();
            let route = row.route().cloned().map(|mut route| {
                row.review.amended.route.iter().for_each(|corrected| corrected.correct(&mut route));
                route
            });
            let moved_on = if row.review.state.waits() {
                moved_on(connection, row.seen.as_deref(), row.ticket_id.as_deref())?
            } else {
                None
            };
            Ok(Some(Looked {
                review,
                may: May { actions, takes_text: row.review.takes_text.is_some(), route },
                moved_on,
            }))
        })
        .await
    }

    /// Claims the oldest review that waits, that nobody has, and that this person
    /// may decide; `act` says who and for how long. With `after`, the id of a
    /// review, those behind it come first, and that one not at all. None when
    /// there is none.
    ///
    /// # Errors
    /// When a transaction could not be committed.
    pub async fn claim_next_review(
        &self,
        act: Act,
        filter: QueueFilter,
        after: Option<String>,
    ) -> Result<Option<Review>, StoreError> {
        let passed = self.number_of_review(after).await?;
        for (mut from, to) in [(passed, i64::MAX), (0, passed - 1)] {
            while from < to {
                let (found, next) = self.free_reviews(&act, &filter, from, to).await?;
                for (id, version) in found {
                    let act = Act { review: id, version: Some(version), ..act.clone() };
                    if let Some(Ok(claimed)) = self.act_on_review(act).await? {
                        return Ok(Some(claimed));
                    }
                }
                from = next.unwrap_or(i64::MAX);
            }
        }
        Ok(None)
    }

    async fn number_of_review(&self, id: Option<String>) -> Result<i64, StoreError> {
        let Some(id) = id else { return Ok(0) };
        self.look_up(move |connection| {
            let mut number = connection.prepare_cached("SELECT seq FROM reviews WHERE id = ?1")?;
            Ok(number.query_row([&id], |row| row.get(0)).optional()?.unwrap_or(0))
        })
        .await
    }

    /// Some that this person may claim, by id and version, of those behind `from`,
    /// and where to look on. Looked for while others write: whether one is still
    /// free, the claim itself finds by its version.
    async fn free_reviews(
        &self,
        act: &Act,
        filter: &QueueFilter,
        from: i64,
        to: i64,
    ) -> Result<(Vec<(String, i64)>, Option<i64>), StoreError> {
        let (person, now_ms, filter) = (act.person.clone(), act.now_ms, filter.clone());
        self.read(move |connection| {
            let end = end_of_stretch(connection, from)?;
            let stretch = (from, Some(end.unwrap_or(i64::MAX).min(to)));
            let mut found: Vec<Waiting> = Vec::new();
            let columns = "seq, id, version, reviewers, claimed_until, first_approved_by";
            in_both_states(columns, &filter, stretch, LOOKED_AT, |sql, params| {
                let rows = connection.prepare_cached(sql)?.query_map(params, Waiting::read)?;
                found.extend(rows.collect::<Result<Vec<_>, _>>()?);
                Ok(())
            })?;
            found.sort_unstable_by_key(|waiting| waiting.seq);
            let mut ids = Vec::new();
            for waiting in found {
                if waiting.is_for(&person, now_ms)? {
                    ids.push((waiting.id, waiting.version));
                }
            }
            Ok((ids, end))
        })
        .await
    }
}

impl Store {
    /// Looks at reviews that are to be decided together: of each, by id and, where
    /// it is known, the version that was looked at, the version it is at and what
    /// approving it would change, or why it is left out.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn offered_together(
        &self,
        items: Vec<(String, Option<i64>)>,
        action: Action,
        person: Person,
        now_ms: i64,
    ) -> Result<Vec<Result<Offered, NotTogether>>, StoreError> {
        self.read(move |connection| {
            items.iter().map(|(id, version)| offered(connection, id, *version, &action, &person, now_ms)).collect()
        })
        .await
    }
}

/// A review that can be decided together with others.
#[derive(Debug, Clone, PartialEq)]
pub struct Offered {
    /// The version it is at: deciding about another is refused.
    pub version: i64,
    /// What approving it would change.
    pub effects: Vec<Effect>,
}

fn offered(
    connection: &Connection,
    id: &str,
    version: Option<i64>,
    action: &Action,
    person: &Person,
    now_ms: i64,
) -> Result<Result<Offered, NotTogether>, StoreError> {
    let (Some(row), Some(shown)) = (load(connection, id)?, reviews::one(connection, id)?) else {
        return Ok(Err(NotTogether::Unknown));
    };
    let now_at = row.review.version;
    let together = Together {
        reason: HoldReason::parse(&shown.reason),
        topics: &shown.topics,
        rules_hit: shown.matches.len(),
        effects: &row.effects,
        has_reply: row.review.reply.is_some(),
        approvals_needed: row.review.approvals_needed,
        is_escalated: shown.escalated_by.is_some(),
    };
    let acted = row.review.act(action, version.unwrap_or(now_at), person, now_ms, 1);
    let may = match action {
        Action::Approve(_) => acted.map_err(NotTogether::from).and_then(|_| together.may_be_approved()),
        _ => acted.map(drop).map_err(NotTogether::from),
    };
    Ok(may.map(|()| Offered { version: now_at, effects: row.effects }))
}

/// Of a ticket on the built-in desk; others are looked at when it is carried out.
fn moved_on(
    connection: &Connection,
    seen: Option<&str>,
    ticket: Option<&str>,
) -> Result<Option<&'static str>, StoreError> {
    let (Some(seen), Some(id)) = (seen, ticket) else { return Ok(None) };
    let seen: Seen = json(seen, "reviews", "seen")?;
    Ok(desk::ticket(connection, id)?.and_then(|now| seen.moved_on(&now.for_deciding())))
}

/// Everything that can be done, with as little said as is possible.
fn actions() -> [(&'static str, Action); 7] {
    [
        ("claim", Action::Claim),
        ("release", Action::Release),
        ("approve", Action::yes()),
        ("approve_text", Action::yes_with("text")),
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
    stretch: (i64, Option<i64>),
    limit: i64,
) -> Result<Vec<Review>, StoreError> {
    let mut found = Vec::new();
    in_both_states("*", filter, stretch, limit, |sql, params| {
        found.extend(read_rows(connection, sql, params)?);
        Ok(())
    })?;
    found.sort_unstable_by_key(|review| review.seq);
    found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(found)
}

/// Asks for some columns of those that wait, a state at a time: each walks its
/// own part of the index.
fn in_both_states(
    columns: &str,
    filter: &QueueFilter,
    (after, end): (i64, Option<i64>),
    limit: i64,
    mut ask: impl FnMut(&str, &[&dyn ToValue]) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let QueueFilter { reason, topic, workflow, claimed_by } = filter;
    let topic = topic.as_ref().map(|topic| serde_json::Value::from(topic.as_str()).to_string());
    let sql = format!(
        "SELECT {columns} FROM reviews INDEXED BY reviews_state WHERE state = ?1 AND seq > ?2 AND seq <= ?3
           AND (?4 IS NULL OR reason = ?4) AND (?5 IS NULL OR instr(topics, ?5) > 0)
           AND (?6 IS NULL OR workflow = ?6) AND (?7 IS NULL OR claimed_by = ?7)
         ORDER BY seq LIMIT ?8"
    );
    let end = end.unwrap_or(i64::MAX);
    ["open", "claimed"]
        .iter()
        .try_for_each(|state| ask(&sql, params![state, after, end, reason, topic, workflow, claimed_by, limit]))
}

/// As much of a review that waits as says who may have it next.
struct Waiting {
    seq: i64,
    id: String,
    version: i64,
    reviewers: String,
    claimed_until_ms: Option<i64>,
    first_approved_by: Option<String>,
}

impl Waiting {
    fn read(row: &Row<'_>) -> super::sql::Result<Waiting> {
        Ok(Waiting {
            seq: row.get(0)?,
            id: row.get(1)?,
            version: row.get(2)?,
            reviewers: row.get(3)?,
            claimed_until_ms: row.get(4)?,
            first_approved_by: row.get(5)?,
        })
    }

    /// What somebody has approved already waits for another person.
    fn is_for(&self, person: &Person, now_ms: i64) -> Result<bool, StoreError> {
        let is_held = self.claimed_until_ms.is_some_and(|until| until > now_ms);
        if is_held || self.first_approved_by.as_deref() == Some(&person.name) {
            return Ok(false);
        }
        let reviewers: Vec<String> = json(&self.reviewers, "reviews", "reviewers")?;
        Ok(person.is_among(&reviewers))
    }
}
