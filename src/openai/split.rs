//! From chunks of bytes to lines: one line in memory at a time, and each byte
//! looked at once.

use bytes::Bytes;

use super::lines::{self, Line};

/// One line of a file, lent until the next one is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RawLine<'a> {
    /// Its number in the file, from 1; blank lines are left out but counted.
    pub number: u64,
    /// Without its end; none when it is longer than a body may be.
    pub bytes: Option<&'a [u8]>,
}

impl RawLine<'_> {
    /// What the line says, when its file is one of a batch.
    #[must_use]
    pub fn read(&self) -> Line {
        match self.bytes {
            Some(bytes) => lines::line(bytes),
            None => Line::Unreadable { why: "too_long", custom_id: None },
        }
    }
}

/// Cuts chunks into lines.
pub(super) struct Splitter {
    limit_bytes: usize,
    /// What was fed and not looked at yet.
    chunk: Bytes,
    /// The line so far.
    line: Vec<u8>,
    /// The line has grown over the limit; the rest of it is thrown away.
    too_long: bool,
    /// The line is whole; the next byte begins another.
    whole: bool,
    number: u64,
}

impl Splitter {
    pub(super) fn new(limit_bytes: usize) -> Splitter {
        Splitter { limit_bytes, chunk: Bytes::new(), line: Vec::new(), too_long: false, whole: false, number: 0 }
    }

    /// Takes the next chunk, once `advance` has asked for it.
    pub(super) fn feed(&mut self, chunk: Bytes) {
        self.chunk = chunk;
    }

    /// Moves to the next line that is not blank. False asks for another chunk.
    pub(super) fn advance(&mut self) -> bool {
        loop {
            self.begin();
            let Some(end) = self.chunk.iter().position(|byte| *byte == b'\n') else {
                let rest = std::mem::take(&mut self.chunk);
                self.append(&rest);
                return false;
            };
            let part = self.chunk.split_to(end.saturating_add(1));
            self.append(part.get(..end).unwrap_or_default());
            self.close();
            if !self.is_blank() {
                return true;
            }
        }
    }

    /// After the last chunk: whether it left a line without an end.
    pub(super) fn finish(&mut self) -> bool {
        let left = !self.whole && (self.too_long || !self.line.is_empty());
        self.close();
        left && !self.is_blank()
    }

    /// The line that `advance` or `finish` has moved to.
    pub(super) fn line(&self) -> RawLine<'_> {
        RawLine { number: self.number, bytes: (!self.too_long).then(|| self.text()) }
    }

    fn begin(&mut self) {
        if self.whole {
            self.line.clear();
            self.too_long = false;
            self.whole = false;
        }
    }

    fn append(&mut self, part: &[u8]) {
        if self.too_long || self.line.len().saturating_add(part.len()) > self.limit_bytes {
            self.too_long = true;
            self.line = Vec::new();
        } else {
            self.line.extend_from_slice(part);
        }
    }

    fn close(&mut self) {
        if !self.whole {
            self.whole = true;
            self.number = self.number.saturating_add(1);
        }
    }

    fn is_blank(&self) -> bool {
        !self.too_long && self.text().trim_ascii().is_empty()
    }

    /// The line without what other systems put around it.
    fn text(&self) -> &[u8] {
        let line = self.line.strip_suffix(b"\r").unwrap_or(&self.line);
        if self.number == 1 { line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line) } else { line }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Found = (u64, Option<Vec<u8>>);

    /// The lines of these chunks.
    fn split(chunks: &[&[u8]], limit_bytes: usize) -> Vec<Found> {
        let mut splitter = Splitter::new(limit_bytes);
        let mut found = Vec::new();
        let own = |line: RawLine<'_>| (line.number, line.bytes.map(<[u8]>::to_vec));
        for chunk in chunks {
            splitter.feed(Bytes::copy_from_slice(chunk));
            while splitter.advance() {
                found.push(own(splitter.line()));
                assert!(splitter.line.len() <= limit_bytes, "memory stays bounded");
            }
        }
        if splitter.finish() {
            found.push(own(splitter.line()));
        }
        assert!(!splitter.finish(), "the end comes once");
        found
    }

    fn texts(text: &str) -> Vec<(u64, String)> {
        let own = |(number, bytes): Found| (number, String::from_utf8(bytes.unwrap()).unwrap());
        split(&[text.as_bytes()], 100).into_iter().map(own).collect()
    }

    #[test]
    fn lines_are_found_with_their_numbers_however_they_end() {
        let table: [(&str, &[(u64, &str)]); 9] = [
            ("", &[]),
            ("\n\n \r\n", &[]),
            ("a", &[(1, "a")]),
            ("a\n", &[(1, "a")]),
            ("a\r\nb\r\n", &[(1, "a"), (2, "b")]),
            ("a\n\n\t\nb", &[(1, "a"), (4, "b")]),
            ("\u{feff}a\nb", &[(1, "a"), (2, "b")]),
            ("\u{feff}\na\n\u{feff}b", &[(2, "a"), (3, "\u{feff}b")]),
            (" a \rb", &[(1, " a \rb")]),
        ];
        for (text, expected) in table {
            let expected: Vec<(u64, String)> = expected.iter().map(|(at, line)| (*at, (*line).to_owned())).collect();
            assert_eq!(texts(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_line_that_is_too_long_costs_only_itself() {
        let long = "x".repeat(11);
        for (text, expected) in [
            (format!("a\n{long}\nb\n"), vec![(1, Some("a")), (2, None), (3, Some("b"))]),
            (long.clone(), vec![(1, None)]),
            (format!("{long}\n\nb"), vec![(1, None), (3, Some("b"))]),
        ] {
            let expected: Vec<Found> =
                expected.into_iter().map(|(at, line)| (at, line.map(|line| line.as_bytes().to_vec()))).collect();
            assert_eq!(split(&[text.as_bytes()], 10), expected, "{text}");
            let bytes: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
            assert_eq!(split(&bytes, 10), expected, "byte by byte");
        }
    }

    proptest! {
        #[test]
        fn it_does_not_matter_where_chunks_begin(
            bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(b' '), any::<u8>()], 0..200),
            cuts in proptest::collection::vec(1_usize..20, 1..40),
        ) {
            let mut chunks = Vec::new();
            let mut rest = bytes.as_slice();
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (chunk, after) = rest.split_at((*cut).min(rest.len()));
                chunks.push(chunk);
                rest = after;
            }
            let whole = split(&[&bytes], 16);
            prop_assert_eq!(&split(&chunks, 16), &whole);
            let simple: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
            for (number, line) in whole {
                let same = simple[usize::try_from(number).unwrap() - 1];
                let same = same.strip_suffix(b"\r").unwrap_or(same);
                prop_assert!(line.is_none_or(|line| same.ends_with(&line)));
            }
        }
    }
}
