//! Approve or reject many reviews, or take that back. Each is decided by itself, as a person would
//! decide it alone, with its own undo window; what may not be is left out.

use std::collections::{BTreeMap, HashSet};

use crate::clock::Clock;
use crate::domain::person::Person;
use crate::domain::review::Action;
use crate::store::{Act, Offered, Store, StoreError};

/// Reviews that are looked at in one reading: each brings its ticket along.
const LOOK: usize = 50;

/// How many may be decided together.
const MOST: usize = 500;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct DecideTogether {
    action: Action,
    items: Vec<(String, Option<i64>)>,
    person: Person,
    lease_ms: i64,
}

/// What was done, or would be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DecidedTogether {
    /// Those that it was done to, or would be, with the version they are at.
    pub items: Vec<(String, i64)>,
    /// Those that were left out, and why.
    pub refused: Vec<(String, String)>,
    /// What the approved ones change, counted.
    pub effects: BTreeMap<String, usize>,
}

impl DecideTogether {
    /// That `person` approves or rejects these reviews or takes that back, each by its id and the
    /// version that was looked at; none takes the one there is. A claim lasts
    /// `lease_ms`.
    ///
    /// # Errors
    /// When there are none, too many, or one is named twice; says so.
    pub fn new(
        action: Action,
        items: Vec<(String, Option<i64>)>,
        person: Person,
        lease_ms: i64,
    ) -> Result<DecideTogether, String> {
        if !(1..=MOST).contains(&items.len()) {
            return Err(format!("name between 1 and {MOST} reviews"));
        }
        let mut seen = HashSet::new();
        if let Some((twice, _)) = items.iter().find(|(id, _)| !seen.insert(id)) {
            return Err(format!("{twice:?} is named twice"));
        }
        Ok(DecideTogether { action, items, person, lease_ms })
    }

    /// What it would do.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn look(&self, store: &Store, clock: &Clock) -> Result<DecidedTogether, StoreError> {
        self.go(store, clock, false).await
    }

    /// Does it.
    ///
    /// # Errors
    /// When one could not be committed; those before it are decided, and the rest
    /// can be decided by asking again.
    pub async fn run(&self, store: &Store, clock: &Clock) -> Result<DecidedTogether, StoreError> {
        self.go(store, clock, true).await
    }

    async fn go(&self, store: &Store, clock: &Clock, does: bool) -> Result<DecidedTogether, StoreError> {
        let mut decided = DecidedTogether::default();
        for items in self.items.chunks(LOOK) {
            let (action, person) = (self.action.clone(), self.person.clone());
            let looked_at = store.offered_together(items.to_vec(), action, person, clock.now_ms()).await?;
            for ((id, _), found) in items.iter().zip(looked_at) {
                let done = match found {
                    Ok(offered) if does => self.decide(store, clock, id, offered).await?,
                    Ok(offered) => Ok(offered),
                    Err(why) => Err(why.to_string()),
                };
                decided.count(id, done, matches!(self.action, Action::Approve(_)));
            }
        }
        Ok(decided)
    }

    /// Decides one, unless somebody has done something since it was looked at.
    async fn decide(
        &self,
        store: &Store,
        clock: &Clock,
        id: &str,
        offered: Offered,
    ) -> Result<Result<Offered, String>, StoreError> {
        let act = Act {
            review: id.to_owned(),
            version: Some(offered.version),
            person: self.person.clone(),
            action: self.action.clone(),
            lease_ms: self.lease_ms,
            now_ms: clock.now_ms(),
        };
        Ok(match store.act_on_review(act).await? {
            Some(Ok(decided)) => Ok(Offered { version: decided.version, ..offered }),
            Some(Err(refused)) => Err(refused.to_string()),
            None => Err("it is not there any more".to_owned()),
        })
    }
}

impl DecidedTogether {
    fn count(&mut self, id: &str, done: Result<Offered, String>, is_approval: bool) {
        match done {
            Err(why) => self.refused.push((id.to_owned(), why)),
            Ok(offered) => {
                self.items.push((id.to_owned(), offered.version));
                for kind in offered.effects.iter().filter(|_| is_approval).flat_map(|effect| effect.kinds()) {
                    *self.effects.entry(kind).or_default() += 1;
                }
            }
        }
    }
}
