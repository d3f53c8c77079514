//! What a text for a customer says that somebody should look at twice before it
//! goes out: places still to be filled in, money, times, promises. A help for the
//! eye in English and German, and no judgement; only an open place stops anything.

/// Longest place that counts as one to be filled in, in characters.
const MAX_PLACE_CHARS: usize = 60;
/// How many are told of one text.
const MOST: usize = 20;

/// What it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `{{name}}`, `[amount]`, `____`: nobody has filled it in.
    Unfilled,
    /// An amount or a share.
    Money,
    /// A date, or how long something takes.
    Time,
    /// What the company would be held to.
    Promise,
}

impl Kind {
    /// The word shown.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Kind::Unfilled => "to fill in",
            Kind::Money => "money",
            Kind::Time => "time",
            Kind::Promise => "promise",
        }
    }
}

const SIGNS: &str = "€$£¥%";
const CURRENCIES: [&str; 14] = [
    "eur", "usd", "gbp", "chf", "euro", "euros", "dollar", "dollars", "pound", "pounds", "percent", "prozent", "cent",
    "cents",
];
const UNITS: [&str; 27] = [
    "minute",
    "minutes",
    "hour",
    "hours",
    "day",
    "days",
    "week",
    "weeks",
    "month",
    "months",
    "business",
    "working",
    "minuten",
    "stunde",
    "stunden",
    "tag",
    "tage",
    "tagen",
    "werktag",
    "werktage",
    "werktagen",
    "woche",
    "wochen",
    "monat",
    "monate",
    "monaten",
    "uhr",
];
const DAYS: [&str; 19] = [
    "today",
    "tomorrow",
    "tonight",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
    "heute",
    "montag",
    "dienstag",
    "mittwoch",
    "donnerstag",
    "freitag",
    "samstag",
    "sonntag",
    "sofort",
];
/// Beginnings of words.
const PROMISES: [&str; 15] = [
    "refund",
    "reimburs",
    "compensat",
    "guarante",
    "promise",
    "waive",
    "credit",
    "voucher",
    "discount",
    "erstatt",
    "gutschr",
    "garant",
    "versprech",
    "kostenlos",
    "rabatt",
];

/// How many places of a text are still to be filled in.
#[must_use]
pub fn unfilled(text: &str) -> usize {
    places(text).len()
}

/// What should be looked at twice, in the order of the kinds: each once, and no more than some.
#[must_use]
pub fn look_twice(text: &str) -> Vec<(Kind, &str)> {
    let mut found: Vec<(Kind, &str)> = places(text).into_iter().map(|place| (Kind::Unfilled, place)).collect();
    let words: Vec<&str> = text.split_whitespace().map(bare).filter(|word| !word.is_empty()).collect();
    for (at, word) in words.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|before| words.get(before)).copied();
        if let Some((kind, with)) = kind_of(word, before, words.get(at + 1).copied()) {
            found.push((kind, together(text, with.unwrap_or(word), word)));
        }
    }
    let mut once: Vec<(Kind, &str)> = Vec::new();
    for kind in [Kind::Unfilled, Kind::Money, Kind::Time, Kind::Promise] {
        for one in found.iter().filter(|one| one.0 == kind) {
            if !once.contains(one) && once.len() < MOST {
                once.push(*one);
            }
        }
    }
    once
}

/// A word without what stands around it.
fn bare(word: &str) -> &str {
    word.trim_matches(|c: char| !c.is_alphanumeric() && !SIGNS.contains(c))
}

/// The words of `text` from one of its words to another, whichever comes first.
fn together<'a>(text: &'a str, one: &'a str, other: &'a str) -> &'a str {
    let begin = |word: &str| word.as_ptr().addr() - text.as_ptr().addr();
    let end = |word: &str| begin(word) + word.len();
    &text[begin(one).min(begin(other))..end(one).max(end(other))]
}

/// What a word says, and the word beside it that makes it say so.
fn kind_of<'a>(word: &str, before: Option<&'a str>, after: Option<&'a str>) -> Option<(Kind, Option<&'a str>)> {
    let low = word.to_lowercase();
    if !word.contains(|c: char| c.is_ascii_digit()) {
        return match () {
            () if DAYS.contains(&low.as_str()) => Some((Kind::Time, None)),
            () if PROMISES.iter().any(|promise| low.starts_with(promise)) => Some((Kind::Promise, None)),
            () => None,
        };
    }
    let currency = |word: &&str| CURRENCIES.contains(&&*word.to_lowercase()) || word.chars().all(|c| SIGNS.contains(c));
    let unit = |word: &&str| UNITS.contains(&&*word.to_lowercase());
    let is_date = word.split(['.', '/', '-', ':']).filter(|part| part.parse::<u32>().is_ok()).count() > 1;
    match () {
        () if word.contains(|c| SIGNS.contains(c)) => Some((Kind::Money, None)),
        () if after.as_ref().is_some_and(currency) => Some((Kind::Money, after)),
        () if before.as_ref().is_some_and(currency) => Some((Kind::Money, before)),
        () if after.as_ref().is_some_and(unit) => Some((Kind::Time, after)),
        () if is_date && !low.contains(char::is_alphabetic) => Some((Kind::Time, None)),
        () => None,
    }
}

/// The places to be filled in, as they stand there.
fn places(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '[', '_']) {
        let from = &rest[at..];
        let place = match from.as_bytes()[0] {
            b'{' => between(from, "{{", "}}"),
            b'[' => between(from, "[", "]").filter(|place| is_slot(place, &from[place.len()..])),
            _ => Some(&from[..from.len() - from.trim_start_matches('_').len()]).filter(|line| line.len() > 2),
        };
        let one = from.chars().next().map_or(1, char::len_utf8);
        let line = from.len() - from.trim_start_matches('_').len();
        rest = &from[place.map_or(one.max(line), str::len)..];
        found.extend(place);
    }
    found
}

/// From `open` to `close`, on one line and not long.
fn between<'a>(text: &'a str, open: &str, close: &str) -> Option<&'a str> {
    let inner = text.strip_prefix(open)?;
    let end = inner.find(close)?;
    let place = &inner[..end];
    let is_short = place.chars().nth(MAX_PLACE_CHARS).is_none() && !place.contains('\n');
    is_short.then(|| &text[..open.len() + end + close.len()])
}

/// `[amount]` is to be filled in; `[1]`, `[x]` and `[text](link)` are not.
fn is_slot(place: &str, behind: &str) -> bool {
    let inner = &place[1..place.len() - 1];
    let letters = inner.chars().filter(|c| c.is_alphabetic()).count();
    letters > 1
        && inner.chars().all(|c| c.is_alphanumeric() || " _-'/.,:#’".contains(c))
        && !behind.starts_with(['(', '['])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_to_be_filled_in_are_found_and_what_only_looks_like_one_is_not() {
        for (text, count) in [
            ("Dear {{ name }}, your [refund amount] comes. Sign: ____", 3),
            ("[Your name]", 1),
            ("see [1] and [the page](https://example.com) and [x]", 0),
            ("fn() { a[0] } {{", 0),
            ("{{}} [] __ ", 1),
            ("{{a}}{{b}}", 2),
            ("[name\nof] [ünïcode ñame] _____x___", 3),
            (&format!("[{}]", "x".repeat(61)), 0),
        ] {
            assert_eq!(unfilled(text), count, "{text}");
        }
    }

    #[test]
    fn money_times_and_promises_are_told_once_each() {
        let text = "We refund 20,00 € (or EUR 20) within 3 business days, until 12.05.2026 or Monday. A refund of 10%. \
                    Ihr Guthaben: 5 Euro, in 2 Werktagen. Order 4711, version 1.";
        let found: Vec<(&str, &str)> = look_twice(text).iter().map(|(kind, words)| (kind.word(), *words)).collect();
        let all = [
            ("money", "20,00 €"),
            ("money", "EUR 20"),
            ("money", "10%"),
            ("money", "5 Euro"),
            ("time", "3 business"),
            ("time", "12.05.2026"),
            ("time", "Monday"),
            ("time", "2 Werktagen"),
            ("promise", "refund"),
        ];
        assert_eq!(found, all);
    }

    #[test]
    fn any_text_is_looked_through_and_little_is_told() {
        let many: String = (0..500).map(|number| format!("{number} € [place {number}] ")).collect();
        assert_eq!(look_twice(&many).len(), MOST);
        for text in ["", "{", "[", "_", "€", "[[[[", "{{{{", "]}}", "___", "\u{1F980}[\u{1F980}]{{\u{1F980}"] {
            assert!(look_twice(text).len() < 2, "{text}");
        }
    }
}
