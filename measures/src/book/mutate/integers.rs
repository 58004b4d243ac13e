//! Where whole numbers stand in the text of a condition.

use std::ops::Range;

/// The places of whole numbers outside texts and names.
pub(super) fn in_condition(text: &str) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut quote: Option<u8> = None;
    let mut at = 0;
    while let Some(byte) = bytes.get(at).copied() {
        match quote {
            Some(_) if byte == b'\\' => at += 1,
            Some(end) if byte == end => quote = None,
            Some(_) => {}
            None if byte == b'"' || byte == b'\'' => quote = Some(byte),
            None if is_word(byte) => {
                let length = bytes.iter().skip(at).take_while(|b| is_word(**b)).count();
                let word = at..at + length;
                at = word.end;
                let digits = |word: &[u8]| word.iter().all(u8::is_ascii_digit);
                if bytes.get(word.clone()).is_some_and(digits) {
                    found.push(word);
                }
                continue;
            }
            None => {}
        }
        at += 1;
    }
    found
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

#[cfg(test)]
mod tests {
    use super::in_condition;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let places = in_condition(text);
        let seen: Vec<&str> = places.iter().filter_map(|p| text.get(p.clone())).collect();
        assert_eq!(seen, expected, "{text}");
    }

    #[test]
    fn numbers_outside_texts_and_names_are_found() {
        check("event.amount_fen >= 500", &["500"]);
        check("event.a1 == 1 && entry.repeat_count < 23", &["1", "23"]);
        check("event.day > date('2026-01-01') || 7 > 3", &["7", "3"]);
        check(r#"event.item_code == "a\"12" && 4 == 4"#, &["4", "4"]);
        check("event.trade in ['12', '道路3'] || event.n != -5", &["5"]);
        check("", &[]);
    }
}
