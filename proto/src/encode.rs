//! Values of our own as messages: verdicts, events, times.

use creditgate_measures::book::{Basis, Measure};
use creditgate_measures::event::{AttributeValue, Event};
use creditgate_measures::time::Time;
use creditgate_measures::verdict::{
    Decision, EntryHit, Incentive, Triggered, Verdict, VerdictDigest,
};
use pbjson_types::value::Kind;
use pbjson_types::{ListValue, Timestamp, Value};

use crate::v1;

/// The verdict as a caller with every right sees it; the explanation stays behind.
#[must_use]
pub fn verdict_to_proto(verdict: &Verdict) -> v1::Verdict {
    let decision = Shown::of(&verdict.decision);
    v1::Verdict {
        verdict_id: verdict.verdict_id.0.hyphenated().to_string(),
        verdict_digest: digest_to_text(&verdict.digest),
        source: verdict.source.as_str().to_owned(),
        event_id: verdict.event_id.as_str().to_owned(),
        case_id: verdict.case_id.as_str().to_owned(),
        scenario: verdict.scenario.as_str().to_owned(),
        stage: verdict.stage.as_str().to_owned(),
        cause: verdict.cause.to_string(),
        outcome: decision.outcome,
        effect: decision.effect,
        review: decision.review,
        proposed: decision.proposed,
        result_code: decision.result_code,
        parties: verdict
            .parties
            .iter()
            .map(|party| {
                let decision = Shown::of(&party.decision);
                v1::PartyVerdict {
                    party: party.party.as_str().to_owned(),
                    outcome: decision.outcome,
                    effect: decision.effect,
                    review: decision.review,
                    proposed: decision.proposed,
                    result_code: decision.result_code,
                }
            })
            .collect(),
        subjects: (0..)
            .zip(&verdict.subjects)
            .map(|(i, s)| subject(i, s, verdict))
            .collect(),
        flags: shown(&verdict.flags),
        not_checked: verdict
            .not_checked
            .iter()
            .map(|n| v1::NotChecked {
                list: n.list.as_str().to_owned(),
                why: n.why.to_string(),
            })
            .collect(),
        list_version: verdict.list_version.to_string(),
        lists_as_of: verdict.lists_as_of.map(time_to_proto),
        list_age_ms: verdict.list_age_ms,
        book_version: hex(&verdict.book_version.0),
        engine_version: verdict.engine_version.to_owned(),
        occurred_at: Some(time_to_proto(verdict.occurred_at)),
        evaluated_at: Some(time_to_proto(verdict.evaluated_at)),
        supersedes: verdict.supersedes.map(|id| id.to_string()),
        superseded_by: None,
        outdated_by: None,
        view: None,
    }
}

/// A digest as verdicts show it.
#[must_use]
pub fn digest_to_text(digest: &VerdictDigest) -> String {
    hex(&digest.0)
}

/// The event as a message that [`crate::decode::event_from_record`] reads back as the same value.
#[must_use]
pub fn event_to_proto(event: &Event) -> v1::Event {
    v1::Event {
        source: event.source.as_str().to_owned(),
        id: event.id.as_str().to_owned(),
        case_id: event.case_id.as_str().to_owned(),
        scenario: event.scenario.as_str().to_owned(),
        stage: event.stage.as_str().to_owned(),
        occurred_at: Some(time_to_proto(event.occurred_at)),
        region: event.region.to_string(),
        item_code: owned(event.item_code.as_deref()),
        amount_fen: event.amount_fen,
        min_list_version: String::new(),
        purpose: owned(event.purpose.as_deref()),
        subjects: event
            .subjects
            .iter()
            .map(|subject| {
                let given = subject.given.as_ref();
                v1::Subject {
                    party: owned(subject.party.as_ref().map(|party| party.as_str())),
                    role: subject.role.code().to_owned(),
                    id_type: owned(given.map(|given| given.id_type.code())),
                    id: owned(given.map(|given| given.value.reveal())),
                    issuer: owned(given.and_then(|given| given.issuer.as_deref())),
                    name: owned(subject.name.as_ref().map(|name| name.reveal())),
                    kind: owned(subject.kind.map(|kind| kind.code())),
                }
            })
            .collect(),
        attributes: event
            .attributes
            .iter()
            .map(|(name, value)| (name.as_ref().to_owned(), attribute(value)))
            .collect(),
    }
}

/// A moment as a message.
#[must_use]
pub fn time_to_proto(time: Time) -> Timestamp {
    let micros = time.micros();
    Timestamp {
        seconds: micros.div_euclid(1_000_000),
        // Below 1,000,000 by the division, so the product fits.
        nanos: i32::try_from(micros.rem_euclid(1_000_000) * 1_000).unwrap_or_default(),
    }
}

/// A moment, cut to the microsecond; nothing when it is not a time or cannot be held.
#[must_use]
pub fn time_from_proto(stamp: &Timestamp) -> Option<Time> {
    let nanos = i64::from(stamp.nanos);
    if !(0..1_000_000_000).contains(&nanos) {
        return None;
    }
    let micros = stamp
        .seconds
        .checked_mul(1_000_000)?
        .checked_add(nanos / 1_000)?;
    Some(Time::from_micros(micros))
}

/// A decision in the words of the answer.
struct Shown {
    outcome: String,
    effect: Option<String>,
    review: bool,
    proposed: Option<String>,
    result_code: u32,
}

impl Shown {
    fn of(decision: &Decision) -> Self {
        Self {
            outcome: decision.outcome().code().to_owned(),
            effect: decision.effect.map(|effect| effect.code().to_owned()),
            review: decision.review,
            proposed: decision.proposed.map(|effect| effect.code().to_owned()),
            result_code: u32::from(decision.result_code),
        }
    }
}

fn subject(
    index: u32,
    subject: &creditgate_measures::verdict::SubjectVerdict,
    verdict: &Verdict,
) -> v1::SubjectVerdict {
    let decision = Shown::of(&subject.decision);
    let party = verdict
        .parties
        .get(subject.party)
        .map(|party| party.party.as_str());
    v1::SubjectVerdict {
        index,
        party: owned(party),
        role: subject.role.code().to_owned(),
        kind: subject.kind.map(|kind| kind.code().to_owned()),
        identity: subject.identity.code().to_owned(),
        outcome: decision.outcome,
        effect: decision.effect,
        review: decision.review,
        proposed: decision.proposed,
        result_code: decision.result_code,
        flags: shown(&subject.flags),
        triggered: subject.triggered.iter().map(triggered).collect(),
        offered: subject.offered.iter().map(incentive).collect(),
        withheld: subject.withheld.iter().map(incentive).collect(),
    }
}

fn triggered(triggered: &Triggered) -> v1::Triggered {
    v1::Triggered {
        measure: Some(measure(&triggered.measure)),
        effect: triggered.effect.code().to_owned(),
        contributes: triggered.contributes.code().to_owned(),
        why: shown(&triggered.why),
        also: shown(&triggered.also),
        entry: triggered.entry.as_ref().map(entry_hit),
    }
}

fn incentive(incentive: &Incentive) -> v1::Incentive {
    v1::Incentive {
        measure: Some(measure(&incentive.measure)),
        why: shown(&incentive.withheld),
        entry: incentive.entry.as_ref().map(entry_hit),
    }
}

fn entry_hit(hit: &EntryHit) -> v1::EntryHit {
    v1::EntryHit {
        entry_id: hit.entry_id.as_str().to_owned(),
        list: hit.list.as_str().to_owned(),
        document_no: hit.document_no.as_deref().map(str::to_owned),
        path: hit.path.to_string(),
    }
}

/// The row as answers explain it.
#[must_use]
pub fn measure(measure: &Measure) -> v1::Measure {
    v1::Measure {
        id: measure.id.as_str().to_owned(),
        title: Some(text(&measure.title)),
        item: measure.item.as_deref().map(str::to_owned),
        class: measure.class.map(|class| class.code().to_owned()),
        force: measure.force.code().to_owned(),
        effect: measure.action.code().to_owned(),
        parameters: measure.parameters.as_ref().map(|p| v1::Parameters {
            ratio: p.ratio.clone(),
            points: p.points,
            percent: p.percent,
            cap_fen: p.cap_fen,
            period: p.period.clone(),
        }),
        basis: measure.bases.iter().map(basis).collect(),
        confidence: measure.confidence.code().to_owned(),
        implementer: Some(text(&measure.implementer)),
        remedies: Some(text(&measure.remedies)),
    }
}

/// A legal basis.
#[must_use]
pub fn basis(basis: &Basis) -> v1::Basis {
    v1::Basis {
        law: basis.law.as_ref().to_owned(),
        article: basis.article.as_deref().map(str::to_owned),
        document_no: basis.document_no.as_deref().map(str::to_owned),
        level: basis.level.code().to_owned(),
        issuer: basis.issuer.as_deref().map(str::to_owned),
        region: basis.region.map(|region| region.to_string()),
    }
}

fn text(text: &creditgate_measures::book::Text) -> v1::Text {
    v1::Text {
        zh: text.zh.clone(),
        en: text.en.clone(),
    }
}

fn attribute(value: &AttributeValue) -> Value {
    let texts = |text: &std::sync::Arc<str>| Value {
        kind: Some(Kind::StringValue(text.as_ref().to_owned())),
    };
    let kind = match value {
        AttributeValue::Text(text) => Kind::StringValue(text.as_ref().to_owned()),
        // Exact: the decoder lets only whole numbers within ±2^53 through.
        AttributeValue::Int(int) => Kind::NumberValue(*int as f64),
        AttributeValue::Bool(bool) => Kind::BoolValue(*bool),
        AttributeValue::List(list) => Kind::ListValue(ListValue {
            values: list.iter().map(texts).collect(),
        }),
    };
    Value { kind: Some(kind) }
}

pub(crate) fn owned(text: Option<&str>) -> String {
    text.unwrap_or_default().to_owned()
}

fn shown<T: std::fmt::Display>(values: &[T]) -> Vec<String> {
    values.iter().map(ToString::to_string).collect()
}

fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| {
        char::from(if nibble < 10 {
            b'0' + nibble
        } else {
            b'a' + nibble - 10
        })
    };
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(digit(byte >> 4));
        text.push(digit(byte & 15));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_shown_as_two_digits_each() {
        assert_eq!(hex(&[0, 9, 10, 255]), "00090aff");
    }

    #[test]
    fn times_survive_to_the_microsecond() {
        for micros in [0, -1, 1, 1_750_000_000_123_456, -2_208_988_800_000_001] {
            let time = Time::from_micros(micros);
            assert_eq!(time_from_proto(&time_to_proto(time)), Some(time));
        }
        let check = |seconds, nanos, expected: Option<i64>| {
            let read = time_from_proto(&Timestamp { seconds, nanos });
            assert_eq!(read.map(Time::micros), expected);
        };
        check(1, 1_999, Some(1_000_001));
        check(1, -1, None);
        check(1, 1_000_000_000, None);
        check(i64::MAX, 0, None);
    }
}
