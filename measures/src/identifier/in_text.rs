//! What stands in a text and may be an identifier, in whatever form it is written there.
//!
//! Letters and digits are read as those of an identifier are (spec 2, rule 1): NFKC, hyphens away, upper-case. Nobody says
//! where one begins, so spaces are no end of it either: each word is read alone, and with those behind it from which only
//! hyphens and spaces divide it. What is no identifier is read so, too; whoever asks tells them apart.

use std::ops::Range;

use unicode_normalization::UnicodeNormalization;

use super::is_hyphen;

/// Letters and digits that stand together. It has no `Debug`, for it may be somebody's number.
#[derive(Clone, Default)]
pub struct Reading {
    /// They alone, in upper case.
    pub normal: String,
    /// Where each of them stands: bytes of the text, of one character. One that stands for several comes several times.
    pub places: Vec<Range<usize>>,
    /// How many words they are.
    pub words: usize,
}

type Word = Vec<(char, Range<usize>)>;

impl Reading {
    fn push(&mut self, word: &[(char, Range<usize>)]) {
        self.words += 1;
        self.normal.extend(word.iter().map(|(c, _)| c));
        self.places
            .extend(word.iter().map(|(_, place)| place.clone()));
    }
}

/// Every word of a text, and every row of neighbouring words that has at most so many letters and digits.
#[must_use]
pub fn readings(text: &str, row_chars_max: usize) -> Vec<Reading> {
    let mut readings = Vec::new();
    for row in rows(text) {
        for first in 0..row.len() {
            let mut reading = Reading::default();
            for word in row.iter().skip(first) {
                reading.push(word);
                if reading.words > 1 && reading.places.len() > row_chars_max {
                    break;
                }
                readings.push(reading.clone());
            }
        }
    }
    readings
}

/// The words of a text, those together between which nothing but hyphens and spaces stands.
fn rows(text: &str) -> Vec<Vec<Word>> {
    let mut rows = vec![Vec::new()];
    let mut word = Word::new();
    for (at, c) in text.char_indices() {
        let place = at..at + c.len_utf8();
        for normal in std::iter::once(c).nfkc() {
            if normal.is_ascii_alphanumeric() {
                word.push((normal.to_ascii_uppercase(), place.clone()));
                continue;
            }
            end(&mut rows, &mut word);
            if !divides_nothing(normal) {
                rows.push(Vec::new());
            }
        }
    }
    end(&mut rows, &mut word);
    rows
}

/// Ends a word.
fn end(rows: &mut [Vec<Word>], word: &mut Word) {
    if let Some(row) = rows.last_mut()
        && !word.is_empty()
    {
        row.push(std::mem::take(word));
    }
}

/// Whether it may stand inside a number: hyphens, spaces, and what nobody sees.
fn divides_nothing(c: char) -> bool {
    let unseen = matches!(c, '\u{200B}'..='\u{200F}' | '\u{2060}' | '\u{FEFF}');
    c.is_whitespace() || is_hyphen(c) || unseen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, row_chars_max: usize, expected: &[&str]) {
        let readings = readings(text, row_chars_max);
        let told: Vec<_> = readings.iter().map(|one| one.normal.as_str()).collect();
        assert_eq!(told, expected, "{text}");
        for reading in &readings {
            assert_eq!(reading.places.len(), reading.normal.chars().count());
            for place in &reading.places {
                assert!(
                    text.get(place.clone())
                        .is_some_and(|c| c.chars().count() == 1)
                );
            }
        }
    }

    #[test]
    fn words_are_read_alone_and_with_their_neighbours() {
        check("", 9, &[]);
        check("某甲", 9, &[]);
        check("ab-12 号", 9, &["AB", "AB12", "12"]);
        check("ab。12", 9, &["AB", "12"]);
        check("ab 12", 3, &["AB", "12"]);
        check("abcdef", 3, &["ABCDEF"]);
        check("Ａ１－2　b", 9, &["A1", "A12", "A12B", "2", "2B", "B"]);
        check(
            "1\u{200B}2\u{2013}3",
            9,
            &["1", "12", "123", "2", "23", "3"],
        );
    }

    #[test]
    fn each_letter_has_its_place_in_the_text() {
        let text = "编号Ａ１-⑩";
        let readings = readings(text, 9);
        let whole = readings.iter().find(|one| one.normal == "A110");
        let whole = whole.expect("the whole");
        let shown: Vec<_> = whole
            .places
            .iter()
            .map(|place| text.get(place.clone()).expect("a character"))
            .collect();
        assert_eq!(shown, ["Ａ", "１", "⑩", "⑩"]);
        assert_eq!(whole.words, 2);
    }
}
