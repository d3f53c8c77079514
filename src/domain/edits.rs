//! How much of a draft was kept: what prompts are judged by.

/// Words of a text that are compared at most: the work grows with the product of
/// the two lengths, and is done while others wait to write.
const MAX_WORDS: usize = 2_000;

/// How far apart two texts are, from 0 (the same words) to 1 (none in
/// common): the word-level edit distance over the longer one's length. Of a text
/// of more than 2000 words only those are compared.
#[must_use]
pub fn distance(draft: &str, sent: &str) -> f64 {
    let (draft, sent) = (words(draft), words(sent));
    let longer = draft.len().max(sent.len());
    if longer == 0 {
        return 0.0;
    }
    #[allow(clippy::cast_precision_loss, reason = "texts have far fewer than 2^52 words")]
    let share = strsim::generic_levenshtein(&draft, &sent) as f64 / longer as f64;
    share
}

fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().take(MAX_WORDS).collect()
}

#[cfg(test)]
mod tests {
    use super::distance;

    #[test]
    fn it_counts_changed_words_over_the_longer_text() {
        let near = |a: &str, b: &str, share: f64| assert!((distance(a, b) - share).abs() < 1e-9, "{a} / {b}");
        near("Your parcel is late.", "Your  parcel is\nlate.", 0.0);
        near("Your parcel is late.", "Your parcel was late.", 0.25);
        near("one two", "one two three four", 0.5);
        near("one", "two", 1.0);
        near("", "", 0.0);
        near("", "words", 1.0);
        let long = "word ".repeat(1_000_000);
        near(&long, &format!("other {long}"), 1.0 / 2_000.0);
    }
}
