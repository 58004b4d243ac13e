//! Canonical bytes, and the ids and digests made of them (spec 7).
//!
//! Every field is a tag, a length and bytes; what is absent is left out, so that a field added
//! later does not change what was digested before. FENCED: a change of any tag, order or form
//! changes ids and digests that other systems keep; golden tests hold them.

use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::book::Action;
use crate::event::{AttributeValue, Event, EventId, Source};
use crate::verdict::{
    Cause, Decision, EntryHit, Incentive, SubjectVerdict, Triggered, Verdict, VerdictDigest,
    VerdictId,
};

/// Grows canonical bytes.
#[derive(Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn bytes(&mut self, tag: u8, bytes: &[u8]) {
        self.0.push(tag);
        self.length(bytes.len());
        self.0.extend_from_slice(bytes);
    }

    /// A length in seven bits a byte, lowest first: most are below 128, and every byte saved is
    /// one less to hash.
    fn length(&mut self, mut length: usize) {
        while length >= 0x80 {
            self.0.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        self.0.push(length as u8);
    }

    fn text(&mut self, tag: u8, text: &str) {
        self.bytes(tag, text.as_bytes());
    }

    fn int(&mut self, tag: u8, value: i64) {
        self.bytes(tag, &value.to_le_bytes());
    }

    fn shown(&mut self, tag: u8, value: impl std::fmt::Display) {
        self.text(tag, &value.to_string());
    }

    /// A part of its own: its bytes stand under one tag.
    fn part(&mut self, tag: u8, write: impl FnOnce(&mut Self)) {
        self.0.push(tag);
        let length_at = self.0.len();
        self.0.extend_from_slice(&[0; 4]);
        write(self);
        // A verdict of 4 GiB cannot be: an event has at most 200 subjects.
        let length = (self.0.len() - length_at - 4) as u32;
        if let Some(field) = self.0.get_mut(length_at..length_at + 4) {
            field.copy_from_slice(&length.to_le_bytes());
        }
    }
}

/// The id of the decision slot (source, event id, cause).
#[must_use]
pub fn verdict_id(source: &Source, event_id: &EventId, cause: &Cause) -> VerdictId {
    let mut hash = Sha256::new();
    let mut part = |text: &str| {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text.as_bytes());
    };
    part(source.as_str());
    part(event_id.as_str());
    match cause {
        Cause::Event => part("event"),
        other => part(&other.to_string()),
    }
    let digest: [u8; 32] = hash.finalize().into();
    let mut bytes = [0; 16];
    bytes
        .iter_mut()
        .zip(digest)
        .for_each(|(to, from)| *to = from);
    VerdictId(Uuid::new_v8(bytes))
}

/// Canonical bytes of an event as decoded; what the service's clock filled in is left out.
#[must_use]
pub fn event_bytes(event: &Event) -> Vec<u8> {
    let mut w = Writer(Vec::with_capacity(256));
    w.text(1, event.source.as_str());
    w.text(2, event.id.as_str());
    w.text(3, event.case_id.as_str());
    w.text(4, event.scenario.as_str());
    w.text(5, event.stage.as_str());
    if !event.clock_filled {
        w.int(6, event.occurred_at.micros());
    }
    w.shown(7, event.region);
    event.item_code.iter().for_each(|code| w.text(8, code));
    event.amount_fen.iter().for_each(|amount| w.int(9, *amount));
    event.purpose.iter().for_each(|purpose| w.text(10, purpose));
    for subject in &event.subjects {
        w.part(11, |w| {
            subject
                .party
                .iter()
                .for_each(|party| w.text(1, party.as_str()));
            w.text(2, subject.role.code());
            subject.kind.iter().for_each(|kind| w.text(3, kind.code()));
            if let Some(given) = &subject.given {
                w.text(4, given.id_type.code());
                w.text(5, given.value.reveal());
                given.issuer.iter().for_each(|issuer| w.text(6, issuer));
            }
            subject
                .name
                .iter()
                .for_each(|name| w.text(7, name.reveal()));
        });
    }
    for (name, value) in &event.attributes {
        w.part(12, |w| {
            w.text(1, name);
            match value {
                AttributeValue::Text(text) => w.text(2, text),
                AttributeValue::Int(int) => w.int(3, *int),
                AttributeValue::Bool(bool) => w.int(4, i64::from(*bool)),
                AttributeValue::List(texts) => {
                    w.part(5, |w| texts.iter().for_each(|t| w.text(1, t)))
                }
            }
        });
    }
    w.0
}

/// The digest of a verdict: everything but engine version, digest, explanation and what
/// supersedes it. Rows stand by their id, since the book version fixes their contents.
#[must_use]
pub fn verdict_digest(verdict: &Verdict) -> VerdictDigest {
    VerdictDigest(Sha256::digest(verdict_bytes(verdict)).into())
}

fn verdict_bytes(verdict: &Verdict) -> Vec<u8> {
    let mut w = Writer(Vec::with_capacity(640));
    w.bytes(1, verdict.verdict_id.0.as_bytes());
    w.text(2, verdict.source.as_str());
    w.text(3, verdict.event_id.as_str());
    w.text(4, verdict.case_id.as_str());
    w.text(5, verdict.scenario.as_str());
    w.text(6, verdict.stage.as_str());
    match &verdict.cause {
        Cause::Event => w.text(7, "event"),
        other => w.shown(7, other),
    }
    decision(&mut w, 8, &verdict.decision);
    for party in &verdict.parties {
        w.part(9, |w| {
            w.text(1, party.party.as_str());
            decision(w, 2, &party.decision);
        });
    }
    verdict
        .subjects
        .iter()
        .for_each(|s| w.part(10, |w| subject(w, s)));
    verdict.flags.iter().for_each(|flag| w.shown(11, flag));
    for not_checked in &verdict.not_checked {
        w.part(12, |w| {
            w.text(1, not_checked.list.as_str());
            w.shown(2, &not_checked.why);
        });
    }
    w.bytes(13, verdict.list_version.log_id.as_bytes());
    w.bytes(14, &verdict.list_version.seq.to_le_bytes());
    verdict
        .lists_as_of
        .iter()
        .for_each(|time| w.int(15, time.micros()));
    verdict.list_age_ms.iter().for_each(|age| w.int(16, *age));
    w.bytes(17, &verdict.book_version.0);
    w.int(18, verdict.occurred_at.micros());
    w.int(19, verdict.evaluated_at.micros());
    verdict
        .supersedes
        .iter()
        .for_each(|id| w.bytes(20, id.0.as_bytes()));
    w.0
}

fn decision(w: &mut Writer, tag: u8, decision: &Decision) {
    w.part(tag, |w| {
        decision
            .effect
            .iter()
            .for_each(|effect| w.text(1, effect.code()));
        w.bytes(2, &[u8::from(decision.review)]);
        decision
            .proposed
            .iter()
            .for_each(|effect| w.text(3, effect.code()));
        w.bytes(4, &[decision.result_code]);
    });
}

fn subject(w: &mut Writer, subject: &SubjectVerdict) {
    w.bytes(1, &(subject.party as u64).to_le_bytes());
    w.text(2, subject.role.code());
    subject.kind.iter().for_each(|kind| w.text(3, kind.code()));
    w.text(4, subject.identity.code());
    decision(w, 5, &subject.decision);
    subject.flags.iter().for_each(|flag| w.shown(6, flag));
    subject
        .triggered
        .iter()
        .for_each(|t| w.part(7, |w| triggered(w, t)));
    subject
        .offered
        .iter()
        .for_each(|i| w.part(8, |w| incentive(w, i)));
    subject
        .withheld
        .iter()
        .for_each(|i| w.part(9, |w| incentive(w, i)));
}

fn triggered(w: &mut Writer, triggered: &Triggered) {
    w.text(1, triggered.measure.id.as_str());
    w.text(2, triggered.effect.code());
    w.text(3, triggered.contributes.code());
    triggered.why.iter().for_each(|why| w.shown(4, why));
    triggered
        .also
        .iter()
        .for_each(|also| w.text(5, also.as_str()));
    triggered
        .entry
        .iter()
        .for_each(|hit| w.part(6, |w| entry_hit(w, hit)));
    triggered
        .measure
        .effective_from
        .iter()
        .for_each(|from| w.shown(7, from));
}

fn incentive(w: &mut Writer, incentive: &Incentive) {
    w.text(1, incentive.measure.id.as_str());
    if let Action::Incentive(benefit) = incentive.measure.action {
        w.text(2, benefit.code());
    }
    incentive.withheld.iter().for_each(|why| w.shown(4, why));
    incentive
        .entry
        .iter()
        .for_each(|hit| w.part(6, |w| entry_hit(w, hit)));
    incentive
        .measure
        .effective_from
        .iter()
        .for_each(|from| w.shown(7, from));
}

fn entry_hit(w: &mut Writer, hit: &EntryHit) {
    w.text(1, hit.entry_id.as_str());
    w.text(2, hit.list.as_str());
    hit.document_no.iter().for_each(|number| w.text(3, number));
    w.shown(4, hit.path);
}
