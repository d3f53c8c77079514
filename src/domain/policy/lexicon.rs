//! Finding words in a text: whole words, phrases, beginnings of words. A text is
//! walked once, whatever the number of phrases.

/// How many other words may stand where a phrase has `..`.
const MAX_GAP: usize = 4;

/// Shortest beginning that may end in `*`, in letters: a shorter one finds nearly everything.
const MIN_BEGINNING: usize = 3;

/// A text as it is searched: lower case, accents and invisible characters taken
/// off, cut into words.
pub(super) struct Words {
    folded: String,
    words: Vec<Word>,
}

/// One word: where it stands in the folded text, and in the text as it came.
struct Word {
    folded: (usize, usize),
    original: (usize, usize),
}

impl Words {
    pub(super) fn of(text: &str) -> Words {
        let mut found = Words { folded: String::with_capacity(text.len()), words: Vec::with_capacity(text.len() / 5) };
        let mut open: Option<Word> = None;
        for (at, c) in text.char_indices() {
            if c.is_alphanumeric() {
                let begin = (found.folded.len(), at);
                fold(c, &mut found.folded);
                let word = open.get_or_insert(Word { folded: (begin.0, 0), original: (begin.1, 0) });
                word.folded.1 = found.folded.len();
                word.original.1 = at + c.len_utf8();
            } else if is_apostrophe(c) {
                found.folded.push('\'');
            } else if !is_invisible(c) {
                found.close(open.take());
            }
        }
        found.close(open);
        found
    }

    fn close(&mut self, word: Option<Word>) {
        let Some(mut word) = word else { return };
        // The customer's, the lawyer's: the word without its ending.
        if self.folded[word.folded.0..word.folded.1].ends_with("'s") {
            word.folded.1 -= 2;
        }
        self.words.push(word);
    }

    fn text(&self, at: usize) -> &str {
        self.words.get(at).map_or("", |word| &self.folded[word.folded.0..word.folded.1])
    }

    /// The words with one `_` between them: how labels are compared.
    pub(super) fn as_label(&self) -> String {
        (0..self.words.len()).map(|at| self.text(at)).collect::<Vec<_>>().join("_")
    }
}

fn is_apostrophe(c: char) -> bool {
    matches!(c, '\'' | '\u{2018}' | '\u{2019}' | '\u{2bc}' | '\u{b4}' | '`')
}

/// Marks that stand over letters, soft hyphens, joiners, signs of direction: a word goes on through them.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{ad}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}')
}

fn fold(c: char, into: &mut String) {
    if c.is_ascii() {
        into.push(c.to_ascii_lowercase());
        return;
    }
    for lower in c.to_lowercase().filter(|c| !is_invisible(*c)) {
        match lower {
            'à'..='å' | 'ā' | 'ă' | 'ą' => into.push('a'),
            'ç' | 'ć' | 'č' => into.push('c'),
            'è'..='ë' | 'ē' | 'ę' | 'ě' => into.push('e'),
            'ì'..='ï' => into.push('i'),
            'ñ' | 'ń' => into.push('n'),
            'ò'..='ö' | 'ø' | 'ō' => into.push('o'),
            'ś' | 'š' => into.push('s'),
            'ù'..='ü' | 'ū' | 'ů' => into.push('u'),
            'ý' | 'ÿ' => into.push('y'),
            'ź' | 'ž' | 'ż' => into.push('z'),
            'ß' => into.push_str("ss"),
            'æ' => into.push_str("ae"),
            'œ' => into.push_str("oe"),
            // Full-width letters, as some keyboards write them.
            'ａ'..='ｚ' | '０'..='９' => into.extend(char::from_u32(u32::from(lower) - 0xfee0)),
            other => into.push(other),
        }
    }
}

/// Shelves that phrases are kept on; a power of two.
const SHELVES: usize = 4096;

/// The shelf of a word: by its first three bytes, which a `*` always leaves.
fn shelf(word: &str) -> usize {
    let key = word.bytes().take(MIN_BEGINNING).fold(0_usize, |key, byte| key << 8 | usize::from(byte));
    // Spreads the keys; the low bits alone are nearly the same for all words.
    (key.wrapping_mul(0x9e37_79b1) >> 16) % SHELVES
}

/// One word of a phrase.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Whole(String),
    Beginning(String),
    /// Up to [`MAX_GAP`] other words.
    Gap,
}

impl Part {
    fn fits(&self, word: &str) -> bool {
        match self {
            Part::Whole(whole) => whole == word,
            Part::Beginning(beginning) => word.starts_with(beginning.as_str()),
            Part::Gap => true,
        }
    }
}

/// What is looked for: a word, a phrase, `refund*` for every word that begins so,
/// `delete .. data` with up to four other words in between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Phrase(Vec<Part>);

impl Phrase {
    /// Reads a phrase as it stands in a policy file.
    pub(super) fn parse(text: &str) -> Result<Phrase, String> {
        let mut parts = Vec::new();
        for token in text.split_whitespace() {
            match (token, token.strip_suffix('*')) {
                ("..", _) => parts.push(Part::Gap),
                (_, Some(beginning)) => parts.push(Phrase::beginning(beginning, text)?),
                _ => {
                    let words = Words::of(token);
                    parts.extend((0..words.words.len()).map(|at| Part::Whole(words.text(at).to_owned())));
                }
            }
        }
        let gaps = parts.iter().filter(|part| **part == Part::Gap).count();
        match (parts.first(), parts.last()) {
            (None, _) => Err(format!("{text:?} holds no word: write one, or leave it out")),
            (Some(Part::Gap), _) | (_, Some(Part::Gap)) => Err(format!("{text:?}: `..` stands between two words")),
            _ if gaps > 1 => Err(format!("{text:?}: one `..` is enough; write two phrases")),
            _ => Ok(Phrase(parts)),
        }
    }

    fn beginning(text: &str, phrase: &str) -> Result<Part, String> {
        let words = Words::of(text);
        match words.text(0) {
            word if words.words.len() == 1 && word.chars().count() >= MIN_BEGINNING => {
                Ok(Part::Beginning(word.to_owned()))
            }
            _ => Err(format!("{phrase:?}: at least {MIN_BEGINNING} letters stand before a `*`")),
        }
    }

    fn first(&self) -> &str {
        match self.0.first() {
            Some(Part::Whole(word) | Part::Beginning(word)) => word,
            _ => "",
        }
    }
}

/// How many words `parts` take up at `at`, when they stand there.
fn length(parts: &[Part], words: &Words, at: usize) -> Option<usize> {
    match parts.split_first() {
        None => Some(0),
        Some((Part::Gap, rest)) => {
            (0..=MAX_GAP).find_map(|gap| length(rest, words, at + gap).map(|length| length + gap))
        }
        Some((part, rest)) => {
            let fits = at < words.words.len() && part.fits(words.text(at));
            if fits { length(rest, words, at + 1).map(|length| length + 1) } else { None }
        }
    }
}

/// Phrases, each with what it stands for.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Lexicon {
    shelves: Vec<Vec<(usize, Phrase)>>,
}

impl Default for Lexicon {
    fn default() -> Lexicon {
        Lexicon { shelves: vec![Vec::new(); SHELVES] }
    }
}

impl Lexicon {
    pub(super) fn add(&mut self, meaning: usize, phrase: Phrase) {
        self.shelves[shelf(phrase.first())].push((meaning, phrase));
    }

    /// Calls `found` with each meaning that stands in the text, and its place in
    /// bytes of the text as it came.
    pub(super) fn search(&self, words: &Words, mut found: impl FnMut(usize, (usize, usize))) {
        for at in 0..words.words.len() {
            for (meaning, phrase) in &self.shelves[shelf(words.text(at))] {
                if let Some(length) = length(&phrase.0, words, at) {
                    let last = &words.words[at + length - 1];
                    found(*meaning, (words.words[at].original.0, last.original.1));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Lexicon, Phrase, Words};

    fn hits(phrase: &str, text: &str) -> Vec<String> {
        let (mut lexicon, mut found) = (Lexicon::default(), Vec::new());
        lexicon.add(0, Phrase::parse(phrase).unwrap());
        lexicon.search(&Words::of(text), |_, (from, to)| found.push(text[from..to].to_owned()));
        found
    }

    #[test]
    fn words_are_found_whole_in_any_case_with_and_without_accents() {
        assert_eq!(hits("refund", "A REFUND, please. Refundless"), ["REFUND"]);
        assert_eq!(hits("rückerstattung", "Rückerstattung, Ruckerstattung, Ru\u{308}ckerstattung").len(), 3);
        assert_eq!(hits("can't log in", "I can\u{2019}t   log\nin!"), ["can\u{2019}t   log\nin"]);
        assert_eq!(hits("lawyer", "my lawyer's letter, the \u{2018}lawyer\u{2019}"), ["lawyer's", "lawyer"]);
        assert_eq!(hits("charge back", "a charge-back"), ["charge-back"]);
        assert_eq!(hits("refund", "a re\u{ad}fu\u{200b}nd and ｒｅｆｕｎｄ").len(), 2);
        assert_eq!(hits("refund", "\u{202e}re\u{200e}fu\u{2063}n\u{fe0f}d").len(), 1);
        assert_eq!(hits("strasse", "Straße"), ["Straße"]);
    }

    #[test]
    fn a_star_finds_every_word_that_begins_so_and_two_dots_leave_room() {
        assert_eq!(hits("refund*", "refunds prefund refunding"), ["refunds", "refunding"]);
        assert_eq!(hits("delete .. data", "delete all of my data"), ["delete all of my data"]);
        assert_eq!(hits("delete .. data", "delete data"), ["delete data"]);
        assert!(hits("delete .. data", "delete one two three four five data").is_empty());
    }

    #[test]
    fn a_phrase_that_would_find_nothing_or_everything_is_refused() {
        for bad in ["", "  ", "--", "..", ".. data", "delete ..", "a .. b .. c", "*", "re*", "a b*"] {
            assert!(Phrase::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn labels_are_compared_by_their_words() {
        for label in ["billing_dispute", "Billing-Dispute", " billing dispute "] {
            assert_eq!(Words::of(label).as_label(), "billing_dispute");
        }
    }
}
