//! A decided verdict on its way into the journal.

use creditgate_measures::book::Book;
use creditgate_measures::case::CaseView;
use creditgate_measures::event::Event;
use creditgate_measures::verdict::{Verdict, VerdictId};
use creditgate_proto::encode::{time_to_proto, verdict_to_proto};
use creditgate_proto::journal::v1::VerdictRecord;
use creditgate_proto::records::{case_view_to_proto, explained_to_proto, kind};
use creditgate_proto::{AnswerDigest, v1};
use creditgate_runtime::journal::NewRecord;
use prost::Message;

use super::{Case, Claim, Seen};
use crate::content::ContentDigest;

/// What is appended, and what memory learns once it is durable.
pub(crate) struct Draft {
    pub claim: Claim,
    pub learned: Learned,
    pub record: NewRecord,
}

/// What memory learns of a record.
pub(crate) struct Learned {
    pub digest: ContentDigest,
    /// Which answer of its slot it is.
    pub answer: AnswerDigest,
    pub case: Case,
    pub seen: Seen,
    /// The verdict whose place this one takes.
    pub supersedes: Option<VerdictId>,
}

/// A verdict that was just decided, and what it was decided from.
pub(crate) struct Fresh<'a> {
    pub verdict: &'a Verdict,
    pub event: &'a Event,
    /// The message that the event was decoded from.
    pub given: v1::Event,
    pub digest: ContentDigest,
    pub case: &'a CaseView,
    pub book: &'a Book,
    pub caller: &'a str,
    pub transport: &'static str,
}

impl Fresh<'_> {
    /// The draft of its record, and the verdict as it will be told.
    pub(crate) fn draft(self, claim: Claim) -> (Draft, Box<v1::Verdict>) {
        let Fresh {
            verdict,
            event,
            mut given,
            digest,
            case,
            book,
            caller,
            transport,
        } = self;
        let told = verdict_to_proto(verdict);
        let seen = Seen::of(event, &told.cause, verdict.evaluated_at, book);
        let answer = AnswerDigest::of(&told);
        // The message as it came decodes to the same event again, once the clock has filled it.
        given.occurred_at = Some(time_to_proto(event.occurred_at));
        given.min_list_version.clear();
        let mut record = VerdictRecord {
            event: Some(given),
            clock_filled: event.clock_filled,
            verdict: Some(told),
            explanation: verdict.explanation.iter().map(explained_to_proto).collect(),
            case_view: (*case != CaseView::default()).then(|| case_view_to_proto(case)),
            content_digest: digest.0.to_vec(),
            caller: caller.to_owned(),
            transport: transport.to_owned(),
        };
        let payload = record.encode_to_vec();
        let draft = Draft {
            claim,
            learned: Learned {
                digest,
                answer,
                case: Case::new(event.case_id.clone()),
                seen,
                supersedes: verdict.supersedes,
            },
            record: NewRecord::new(kind::VERDICT, verdict.evaluated_at.micros(), payload),
        };
        (draft, Box::new(record.verdict.take().unwrap_or_default()))
    }
}
