//! What a batch would change, counted, beside what the last runs changed.

mod labels;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

pub use labels::labels;

use super::{Counts, Rules, WaitsFor};
use crate::domain::hold::HoldReason;

/// Fewer lines than this say nothing about a share.
const FEWEST_LINES: i64 = 20;
/// Nor do the runs before, when they have fewer lines than this.
const FEWEST_BEFORE: i64 = 50;
/// So many standard errors from the share of before. Chance alone goes so far
/// about three times in a thousand. A change-set has dozens of shares, and each of
/// them is asked: at the usual one in twenty nearly every one would be an alarm.
const LEAST_Z: f64 = 3.0;

/// What a batch would change.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ChangeSet {
    /// Lines that the policy would apply.
    pub ok: i64,
    /// Lines that a person has to look at.
    pub held: i64,
    /// Lines that came to nothing.
    pub lost: i64,
    /// Usable lines of the runs before; 0 when there were none.
    pub lines_before: i64,
    /// What would be set, by field.
    pub fields: Vec<Field>,
    /// How many of the usable lines are held, beside the runs before.
    pub held_share: Share,
    /// Why lines are held, the most frequent reason first.
    pub held_reasons: Vec<(String, i64)>,
    /// Why lines came to nothing, the most frequent reason first.
    pub failures: Vec<(String, i64)>,
}

/// One field of the tickets, and what would be set in it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Field {
    /// `priority`, `queue`, `tag`, `field vip`, `note`…
    pub name: String,
    /// The most frequent value first. A note or a draft has one, without a name.
    pub values: Vec<Share>,
}

/// How many lines of all, and how that was before.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Share {
    /// The value; none where there are no values, as for a note.
    pub value: Option<String>,
    /// Lines.
    pub count: i64,
    /// Of the usable lines, 0 to 1.
    pub share: f64,
    /// The same in the runs before; none when there were none.
    pub before: Option<f64>,
    /// The two differ by more than chance would do.
    pub has_moved: bool,
}

/// A share that has moved.
#[derive(Debug, Clone, PartialEq)]
pub struct Moved {
    /// `priority urgent`, or `held`.
    pub what: String,
    /// Now, 0 to 1.
    pub share: f64,
    /// In the runs before, 0 to 1.
    pub before: f64,
}

impl Moved {
    /// How far, 0 to 1.
    #[must_use]
    pub fn by(&self) -> f64 {
        (self.share - self.before).abs()
    }

    /// As `priority urgent 3 % → 41 %`.
    #[must_use]
    pub fn in_words(&self) -> String {
        format!("{} {} → {}", self.what, percent(self.before), percent(self.share))
    }
}

/// How often something was met, of so many.
#[derive(Clone, Copy)]
struct Seen {
    count: i64,
    of: i64,
}

impl Seen {
    fn new(count: i64, of: i64) -> Seen {
        Seen { count: count.clamp(0, of.max(0)), of: of.max(0) }
    }

    fn share(self) -> f64 {
        if self.of == 0 { 0.0 } else { as_f64(self.count) / as_f64(self.of) }
    }
}

/// Whether two shares differ by more than chance: the two-proportion test.
fn differ(now: Seen, before: Seen) -> bool {
    if now.of < FEWEST_LINES || before.of < FEWEST_BEFORE {
        return false;
    }
    let pooled = (as_f64(now.count) + as_f64(before.count)) / (as_f64(now.of) + as_f64(before.of));
    let spread = (pooled * (1.0 - pooled) * (1.0 / as_f64(now.of) + 1.0 / as_f64(before.of))).sqrt();
    spread > 0.0 && ((now.share() - before.share()) / spread).abs() > LEAST_Z
}

#[allow(clippy::cast_precision_loss, reason = "counts of lines are far below 2^52")]
fn as_f64(count: i64) -> f64 {
    count as f64
}

fn get(counts: &Counts, name: &str) -> i64 {
    counts.get(name).copied().unwrap_or(0).max(0)
}

/// Lines with an output that can be used.
fn usable(counts: &Counts) -> i64 {
    get(counts, "result/ok").saturating_add(get(counts, "result/held"))
}

impl ChangeSet {
    /// From the counts of a batch and of the runs before it, added up.
    #[must_use]
    pub fn of(now: &Counts, before: &Counts) -> ChangeSet {
        let both = Both { now, before, lines: usable(now), lines_before: usable(before) };
        let (held_reasons, failures) = reasons(now);
        let lost = ["failed", "missing", "unknown", "duplicate", "unreadable"];
        ChangeSet {
            ok: get(now, "result/ok"),
            held: get(now, "result/held"),
            lost: lost.iter().map(|word| get(now, &format!("result/{word}"))).fold(0, i64::saturating_add),
            lines_before: both.lines_before,
            fields: both.fields(),
            held_share: both.share("result/held", None),
            held_reasons,
            failures,
        }
    }

    /// Why a person decides; none when it may be applied at once.
    #[must_use]
    pub fn waits_for(&self, rules: &Rules) -> Option<WaitsFor> {
        if self.ok.saturating_add(self.held) > rules.preview_over {
            return Some(WaitsFor::Size);
        }
        (!self.moved(rules.drift).is_empty()).then_some(WaitsFor::Drift)
    }

    /// Shares that have moved by more than `over`, 0 to 1, and not by chance; the
    /// largest move first.
    #[must_use]
    pub fn moved(&self, over: f64) -> Vec<Moved> {
        let of_fields =
            self.fields.iter().flat_map(|field| field.values.iter().map(|value| (field.what(value), value)));
        let mut moved: Vec<Moved> = of_fields
            .chain([("held".to_owned(), &self.held_share)])
            .filter(|(_, share)| share.has_moved)
            .filter_map(|(what, share)| Some(Moved { what, share: share.share, before: share.before? }))
            .filter(|moved| moved.by() > over)
            .collect();
        moved.sort_by(|a, b| b.by().total_cmp(&a.by()).then_with(|| a.what.cmp(&b.what)));
        moved
    }

    /// For people: the changes, what is held, what is lost, what has moved.
    #[must_use]
    pub fn in_words(&self) -> Vec<String> {
        let mut words: Vec<String> = self.fields.iter().flat_map(Field::in_words).collect();
        let told = |reasons: &[(String, i64)]| {
            reasons.iter().map(|(reason, count)| format!("{count} {reason}")).collect::<Vec<_>>().join(", ")
        };
        if self.held > 0 {
            words.push(format!("{} to review: {}", tickets(self.held), told(&self.held_reasons)));
        }
        if self.lost > 0 {
            words.push(format!("{} without a result: {}", lines(self.lost), told(&self.failures)));
        }
        words.extend(self.moved(TOLD_OVER).iter().map(Moved::in_words));
        words
    }
}

/// Smaller moves are not worth a line.
const TOLD_OVER: f64 = 0.05;

impl Field {
    fn what(&self, share: &Share) -> String {
        match &share.value {
            Some(value) => format!("{} {value}", self.name),
            None => self.name.clone(),
        }
    }

    fn in_words(&self) -> Vec<String> {
        let there = self.values.iter().filter(|share| share.count > 0);
        there
            .map(|share| match self.name.as_str() {
                "queue" => format!("{} to {}", tickets(share.count), self.what(share)),
                "start" => format!("{} start {}", tickets(share.count), share.value.as_deref().unwrap_or_default()),
                _ => format!("{} get {}", tickets(share.count), self.what(share)),
            })
            .collect()
    }
}

fn tickets(count: i64) -> String {
    if count == 1 { "1 ticket".to_owned() } else { format!("{count} tickets") }
}

fn lines(count: i64) -> String {
    if count == 1 { "1 line".to_owned() } else { format!("{count} lines") }
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// The counts of a batch beside those of the runs before.
struct Both<'a> {
    now: &'a Counts,
    before: &'a Counts,
    lines: i64,
    lines_before: i64,
}

impl Both<'_> {
    fn share(&self, name: &str, value: Option<String>) -> Share {
        let now = Seen::new(get(self.now, name), self.lines);
        let before = Seen::new(get(self.before, name), self.lines_before);
        Share {
            value,
            count: now.count,
            share: now.share(),
            before: (before.of > 0).then(|| before.share()),
            has_moved: differ(now, before),
        }
    }

    /// What is set now, or was set before and is not any more.
    fn fields(&self) -> Vec<Field> {
        let names: BTreeSet<&String> =
            self.now.keys().chain(self.before.keys()).filter(|name| name.starts_with("set/")).collect();
        let mut fields: BTreeMap<String, Vec<Share>> = BTreeMap::new();
        for name in names {
            let (field, value) = field_and_value(name);
            let share = self.share(name, value);
            if share.count > 0 || share.before.is_some_and(|before| before > 0.0) {
                fields.entry(field).or_default().push(share);
            }
        }
        let sorted = fields.into_iter().map(|(name, mut values)| {
            values.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.value.cmp(&b.value)));
            Field { name, values }
        });
        sorted.collect()
    }
}

/// `set/priority/urgent` is a field and a value; `set/field/vip` is a field
/// without one, and `set/field/vip/true` is the same field with one.
fn field_and_value(label: &str) -> (String, Option<String>) {
    let rest = label.strip_prefix("set/").unwrap_or(label);
    match rest.split_once('/') {
        Some(("field", rest)) => match rest.split_once('/') {
            Some((name, value)) => (format!("field {name}"), Some(value.to_owned())),
            None => (format!("field {rest}"), None),
        },
        Some((field, value)) => (field.to_owned(), Some(value.to_owned())),
        None => (rest.to_owned(), None),
    }
}

/// Codes, and how often each was met.
type Reasons = Vec<(String, i64)>;

/// Reasons of held lines, and of those that came to nothing: the counts keep
/// them together, and only a hold has one of our own closed list.
fn reasons(counts: &Counts) -> (Reasons, Reasons) {
    let mut found: Reasons = counts
        .iter()
        .filter_map(|(name, count)| Some((name.strip_prefix("reason/")?.to_owned(), *count)))
        .filter(|(_, count)| *count > 0)
        .collect();
    found.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    found.into_iter().partition(|(reason, _)| HoldReason::parse(reason).is_some())
}
