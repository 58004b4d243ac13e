//! Texts that say nothing, codes that cannot be told apart, and figures out of range.

use super::super::source::{MeasureSource, ParametersSource, Text};
use super::{Broken, broken_if};

/// The first of these texts that is blank in one of its languages or at all.
pub(in super::super) fn blank<'t>(
    texts: impl IntoIterator<Item = (&'static str, Vec<&'t str>)>,
) -> Vec<Broken> {
    let is_blank = |text: &&str| text.chars().all(|c| c.is_whitespace() || c.is_control());
    texts
        .into_iter()
        .filter(|(_, written)| written.iter().any(is_blank))
        .map(|(what, _)| (format!("`{what}` is blank"), "write it out".to_owned()))
        .collect()
}

/// An id or code in which something cannot be seen.
pub(in super::super) fn code_broken(what: &str, code: &str) -> Option<Broken> {
    let unseen = code.is_empty() || code.chars().any(|c| c.is_whitespace() || c.is_control());
    unseen.then(|| {
        (
            format!(
                "the {what} `{}` is empty, or has white space or control characters in it",
                code.escape_debug()
            ),
            "write letters, digits and hyphens".to_owned(),
        )
    })
}

/// Both languages of a text.
pub(super) fn both(text: &Text) -> Vec<&str> {
    vec![&text.zh, &text.en]
}

/// What a row leaves blank.
pub(super) fn row_texts(source: &MeasureSource) -> Vec<Broken> {
    let texts = [
        ("title", &source.title),
        ("content", &source.content),
        ("implementer", &source.implementer),
        ("remedies", &source.remedies),
    ];
    let bases = source.basis.iter().map(|basis| &basis.value);
    let excluding = source.excluded_by.iter().map(|excluding| &excluding.basis);
    let laws = bases
        .chain(excluding)
        .map(|basis| ("law", vec![basis.law.as_str()]));
    let place = source
        .published_in
        .iter()
        .map(|place| ("published_in", vec![place.as_str()]));
    let field = source
        .field
        .iter()
        .map(|field| ("field", vec![field.value.as_str()]));
    let texts = texts.into_iter().map(|(what, text)| (what, both(text)));
    let mut broken = blank(texts.chain(laws).chain(place).chain(field));
    broken.extend(code_broken("id", &source.id.value));
    broken
}

/// Figures that no law can mean.
pub(super) fn figures(parameters: &ParametersSource) -> Vec<Broken> {
    let share = |ratio: &String| {
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let (whole, rest) = ratio.split_once('.').unwrap_or((ratio, "0"));
        digits(whole) && digits(rest) && ratio.parse::<f64>().is_ok_and(|ratio| ratio <= 1.0)
    };
    let period = parameters
        .period
        .iter()
        .map(|period| ("period", vec![period.as_str()]));
    let mut broken = blank(period);
    broken.extend(
        [
            broken_if(
                parameters.ratio.as_ref().is_some_and(|ratio| !share(ratio)),
                "`ratio` is no share",
                "write a decimal from 0 to 1, in quotes",
            ),
            broken_if(
                parameters
                    .percent
                    .is_some_and(|percent| !(-100..=100).contains(&percent)),
                "`percent` is out of range",
                "write a whole number from -100 to 100",
            ),
            broken_if(
                parameters.cap_fen.is_some_and(|cap| cap < 0),
                "`cap_fen` is below nothing",
                "write an amount in fen, 0 or more",
            ),
        ]
        .into_iter()
        .flatten(),
    );
    broken
}
