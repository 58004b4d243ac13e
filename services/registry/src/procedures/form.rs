//! What a request about a procedure says, its form checked and nothing looked up yet.

use creditgate_measures::identifier::Identifier;
use creditgate_measures::time::{Date, Time};
use creditgate_proto::subject::alias_from_proto;
use creditgate_proto::{Refused, Violation, v1};
use pbjson_types::Timestamp;

use super::table::{Kind, Outcome, Step};
use crate::change;

const ID_CHARS_MAX: usize = 128;
const NAME_CHARS_MAX: usize = 256;
const DOCUMENT_CHARS_MAX: usize = 512;
const REASON_CHARS_MAX: usize = 4_096;

/// Years of a day that is told. A limit counted from the last of them still has a day that can be
/// written with four digits of the year.
const YEARS: std::ops::RangeInclusive<i32> = 1_900..=9_998;

/// Who, when, by which document and why.
#[derive(Clone)]
pub struct Told {
    /// Who.
    pub by: String,
    /// When; none: now.
    pub at: Option<Time>,
    /// By which document.
    pub document_no: String,
    /// Why.
    pub reason: String,
}

/// A procedure to be opened.
pub struct Opening {
    /// What it is about.
    pub kind: Kind,
    /// Its entry, or its subject.
    pub about: About,
    /// The subject whose entry it has to be; none: whosever it is.
    pub of: Option<Identifier>,
    /// Who, when, why.
    pub told: Told,
    /// The authority that is to act; empty: that of the entry.
    pub authority: String,
    /// Last day of a commitment.
    pub until: Option<Date>,
    /// Although it is too early.
    pub force: bool,
}

/// What a procedure is about.
pub enum About {
    /// An entry, by id.
    Entry(String),
    /// A subject.
    Subject(v1::SubjectQuery),
}

/// A step to be taken.
pub struct Stepping {
    /// Of which procedure.
    pub procedure_id: String,
    /// The step.
    pub step: Step,
    /// What is decided.
    pub outcome: Option<Outcome>,
    /// Who, when, why.
    pub told: Told,
    /// When a talk is to be held.
    pub scheduled_for: Option<Time>,
    /// Where.
    pub place: String,
    /// The list on which an entry is proposed.
    pub attention_list: String,
    /// Its region.
    pub region: String,
}

/// Collects everything that is wrong with a request.
#[derive(Default)]
pub struct Form(Vec<Violation>);

impl Form {
    /// Something is wrong.
    pub fn refuse(&mut self, field: &str, rule: impl Into<String>) {
        self.0.push(Violation::new(field, rule));
    }

    /// A text of at most so many characters.
    pub fn text(&mut self, field: &str, text: &str, chars_max: usize) -> String {
        if text.chars().count() > chars_max {
            self.refuse(field, format!("at most {chars_max} characters"));
        }
        text.trim().to_owned()
    }

    /// A text that has to be there; `ask` says what it is.
    pub fn required(&mut self, field: &str, text: &str, chars_max: usize, ask: &str) -> String {
        let text = self.text(field, text, chars_max);
        if text.is_empty() {
            self.refuse(field, format!("required: say {ask}"));
        }
        text
    }

    /// An id that another service gave: one word.
    pub fn id(&mut self, field: &str, text: &str, ask: &str) -> String {
        let id = self.required(field, text, ID_CHARS_MAX, ask);
        if id.contains(|c: char| c.is_whitespace() || c.is_control()) {
            self.refuse(field, "an id has no spaces in it");
        }
        id
    }

    /// An identifier of a subject.
    pub fn identifier(&mut self, field: &str, alias: &v1::Alias) -> Option<Identifier> {
        match alias_from_proto(field, Some(alias)) {
            Ok(identifier) => Some(identifier),
            Err(refused) => {
                self.0.extend(refused.violations);
                None
            }
        }
    }

    /// A moment.
    pub fn time(&mut self, field: &str, stamp: Option<Timestamp>) -> Option<Time> {
        match change::time(field, stamp) {
            Ok(time) => time,
            Err(refused) => {
                self.0.extend(refused.violations);
                None
            }
        }
    }

    /// A day; empty: none.
    pub fn day(&mut self, field: &str, text: &str) -> Option<Date> {
        let text = text.trim();
        if text.is_empty() {
            return None;
        }
        let Ok(day) = Date::parse(text) else {
            self.refuse(field, "write a day as YYYY-MM-DD");
            return None;
        };
        if !YEARS.contains(&day.year()) {
            let (first, last) = (YEARS.start(), YEARS.end());
            self.refuse(field, format!("expected a year from {first} to {last}"));
            return None;
        }
        Some(day)
    }

    /// A word of a closed set; empty: none.
    pub fn word<T: Copy>(
        &mut self,
        field: &str,
        text: &str,
        all: &[T],
        code: impl Fn(T) -> &'static str,
    ) -> Option<T> {
        if text.is_empty() {
            return None;
        }
        let known = all.iter().copied().find(|known| code(*known) == text);
        if known.is_none() {
            let known: Vec<_> = all.iter().map(|known| code(*known)).collect();
            self.refuse(field, format!("not known; known: {}", known.join(", ")));
        }
        known
    }

    /// All that is wrong.
    pub fn check(self) -> Result<(), Refused> {
        Refused::unless_empty(self.0)
    }

    fn told(&mut self, by: &str, at: Option<Timestamp>, document_no: &str, reason: &str) -> Told {
        Told {
            by: self.required("by", by, NAME_CHARS_MAX, "who it was"),
            at: self.time("at", at),
            document_no: self.required(
                "document_no",
                document_no,
                DOCUMENT_CHARS_MAX,
                "by which document",
            ),
            reason: self.required("reason", reason, REASON_CHARS_MAX, "why"),
        }
    }
}

impl Opening {
    /// What a request asks for.
    ///
    /// # Errors
    /// All rules of its form that it breaks.
    pub fn read(asked: v1::OpenProcedureRequest) -> Result<Self, Refused> {
        let mut form = Form::default();
        let kind = form.word("kind", &asked.kind, Kind::ALL, Kind::code);
        if asked.kind.is_empty() {
            form.refuse("kind", "required: objection, repair, talk or commitment");
        }
        let told = form.told(&asked.by, asked.at, &asked.document_no, &asked.reason);
        let authority = form.text("authority", &asked.authority, NAME_CHARS_MAX);
        let until = form.day("until", &asked.until);
        if until.is_some() && kind.is_some_and(|kind| kind != Kind::Commitment) {
            form.refuse("until", "only a commitment has a day by which it is kept");
        }
        if asked.force && kind.is_some_and(|kind| kind != Kind::Repair) {
            form.refuse("force", "only a repair may be taken before its time");
        }
        let of = asked.of_subject.as_ref();
        let of = of.and_then(|of| form.identifier("of_subject", of));
        let needs_entry = matches!(kind, Some(Kind::Objection | Kind::Repair));
        let entry_id = asked.entry_id.trim();
        if entry_id.is_empty() && asked.of_subject.is_some() {
            form.refuse("of_subject", "says whose entry it is; name the entry too");
        }
        let about = match (entry_id.is_empty(), asked.subject) {
            (false, None) => Some(About::Entry(entry_id.to_owned())),
            (false, Some(_)) => {
                form.refuse("subject", "the entry has its subject; leave this empty");
                None
            }
            (true, Some(subject)) if !needs_entry => {
                if authority.is_empty() {
                    form.refuse("authority", "required: no entry tells who is to act");
                }
                Some(About::Subject(subject))
            }
            (true, _) => {
                form.refuse("entry_id", "required: say which entry it is about");
                None
            }
        };
        form.check()?;
        match (kind, about) {
            (Some(kind), Some(about)) => Ok(Self {
                kind,
                about,
                of,
                told,
                authority,
                until,
                force: asked.force,
            }),
            // Told above.
            _ => Err(Refused::one("kind", "required")),
        }
    }

    /// The same from a clerk at a window, who acts for the subject that is there.
    ///
    /// # Errors
    /// When it does not say whose entry it is.
    pub fn at_a_window(self) -> Result<Self, Refused> {
        match self.of {
            Some(_) => Ok(self),
            None => Err(Refused::one(
                "of_subject",
                "required at a window: an identifier of the subject whose entry it is",
            )),
        }
    }
}

impl Stepping {
    /// What a request asks for.
    ///
    /// # Errors
    /// All rules of its form that it breaks.
    pub fn read(asked: v1::StepProcedureRequest) -> Result<Self, Refused> {
        let mut form = Form::default();
        let step = form.word("step", &asked.step, Step::ALL, Step::code);
        if asked.step.is_empty() {
            form.refuse("step", "required: say which step was taken");
        }
        let outcome = form.word("outcome", &asked.outcome, Outcome::ALL, Outcome::code);
        let told = form.told(&asked.by, asked.at, &asked.document_no, &asked.reason);
        let scheduled_for = form.time("scheduled_for", asked.scheduled_for);
        let place = form.text("place", &asked.place, NAME_CHARS_MAX);
        let scheduling = step == Some(Step::Scheduled);
        if scheduling && scheduled_for.is_none() {
            form.refuse("scheduled_for", "required: say when the talk is to be held");
        }
        if !scheduling && (scheduled_for.is_some() || !place.is_empty()) {
            form.refuse(
                "scheduled_for",
                "only the step `scheduled` says when and where",
            );
        }
        let attention_list = asked.attention_list.trim().to_owned();
        if step == Some(Step::Broken) && attention_list.is_empty() {
            let rule = "required: name the key-attention list on which an entry is proposed";
            form.refuse("attention_list", rule);
        }
        if step != Some(Step::Broken) && !attention_list.is_empty() {
            form.refuse(
                "attention_list",
                "only a broken commitment proposes an entry",
            );
        }
        form.check()?;
        match step {
            Some(step) => Ok(Self {
                procedure_id: asked.procedure_id,
                step,
                outcome,
                told,
                scheduled_for,
                place,
                attention_list,
                region: asked.region,
            }),
            // Told above.
            None => Err(Refused::one("step", "required")),
        }
    }
}
