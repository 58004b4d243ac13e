//! A department carried out a penalty by reason of an entry: what it tells, and what the book says of
//! the measure when its subject is told.

use creditgate_measures::book::{Action, Basis, Book, Measure};
use creditgate_measures::clocks::Placeholder;
use creditgate_measures::clocks::notice::{decision_zh, related_zh};
use creditgate_measures::entry::Entry;
use creditgate_measures::event::{ListCode, Sensitive};
use creditgate_measures::time::Time;
use creditgate_measures::vocabulary::{Colour, Role, State};
use creditgate_proto::encode::time_to_proto;
use creditgate_proto::journal::v1::{MeasureTaken, desk_record::What};
use creditgate_proto::{Refused, v1};

use super::form::Form;
use crate::desk::{CarriedOut, Desk, FellOn};
use crate::error::ChangeError;
use crate::keeper::{Planned, View};
use crate::life;

/// What a department tells of a measure.
pub(crate) struct Recording {
    /// The entry.
    pub entry_id: String,
    /// The verdict.
    pub verdict_id: String,
    /// The measure.
    pub measure_id: String,
    case_id: String,
    by: String,
    at: Time,
    document_no: String,
    reason: String,
}

impl Recording {
    /// What a request tells.
    ///
    /// # Errors
    /// All rules of its form that it breaks.
    pub fn read(asked: v1::RecordMeasureRequest) -> Result<Self, Refused> {
        let mut form = Form::default();
        let entry_id = form.required("entry_id", &asked.entry_id, 128, "which entry");
        let ask = "which verdict named the measure";
        let verdict_id = form.id("verdict_id", &asked.verdict_id, ask);
        let measure_id = form.id("measure_id", &asked.measure_id, "which measure");
        let case_id = form.text("case_id", &asked.case_id, 256);
        let at = form.time("at", asked.at);
        if asked.at.is_none() {
            form.refuse("at", "required: say when it was carried out");
        }
        let by = form.required("by", &asked.by, 256, "which office carried it out");
        let ask = "by which document";
        let document_no = form.required("document_no", &asked.document_no, 512, ask);
        let reason = form.required("reason", &asked.reason, 4_096, "why");
        form.check()?;
        Ok(Self {
            entry_id,
            verdict_id,
            measure_id,
            case_id,
            by,
            at: at.ok_or_else(|| Refused::one("at", "required"))?,
            document_no,
            reason,
        })
    }

    /// Names of the fields in which it differs from what is known.
    fn differs_from(&self, known: &CarriedOut) -> Vec<&'static str> {
        [
            ("case_id", self.case_id == known.case_id),
            ("by", self.by == known.by.0),
            ("at", self.at == known.at),
            ("document_no", self.document_no == known.document_no),
            ("reason", self.reason == known.reason.0),
        ]
        .into_iter()
        .filter(|(_, same)| !same)
        .map(|(field, _)| field)
        .collect()
    }
}

/// The record of a measure; none when all of it is known.
pub(crate) fn plan(asked: &Recording, view: &View<'_>) -> Result<Vec<Planned>, ChangeError> {
    let entry = view.entry(&asked.entry_id)?;
    let list = life::known_list(entry.list.as_str(), view.book)?;
    if list.colour == Colour::Red {
        let why = "an entry of a red list is an honour; no penalty rests on it, and nothing is told of one";
        return Err(ChangeError::not_possible("red_list", why));
    }
    let measure = measure_of(&asked.measure_id, asked.at, view.book).ok_or_else(|| {
        let rule =
            "the book has no such measure; name it as the verdict does (`triggered.measure.id`)";
        Refused::one("measure_id", rule)
    })?;
    if !matches!(measure.action, Action::Penalty(_)) {
        let rule = "is an incentive; what is told is that a penalty was carried out";
        return Err(Refused::one("measure_id", rule).into());
    }
    if !measure.lists.contains(&entry.list) {
        let rule = not_by_reason_of(measure, &entry.list);
        return Err(Refused::one("measure_id", rule).into());
    }
    let known = &view.desk.measures;
    let (verdict_id, measure_id) = (&*asked.verdict_id, &*asked.measure_id);
    if let Some(known) = known.get(&asked.entry_id, verdict_id, measure_id, None) {
        return repeated(asked, known);
    }
    let state = entry.last_state();
    if matches!(state, State::Proposed | State::Notified) {
        let why = format!("the entry is {state}: nothing is carried out by reason of it yet");
        return Err(ChangeError::not_possible("entry_state", why));
    }
    if asked.at > view.now {
        let rule = "lies in the future; a measure is recorded when it was carried out";
        return Err(Refused::one("at", rule).into());
    }
    // It may be told by its day alone.
    if asked.at.date() < entry.valid_from.date() {
        let rule = format!(
            "lies before the entry holds, from {}; look at the document, or correct the entry",
            entry.valid_from.date()
        );
        return Err(Refused::one("at", rule).into());
    }
    let what = What::MeasureTaken(MeasureTaken {
        entry_id: asked.entry_id.clone(),
        verdict_id: asked.verdict_id.clone(),
        measure_id: asked.measure_id.clone(),
        case_id: asked.case_id.clone(),
        by: asked.by.clone(),
        at: Some(time_to_proto(asked.at)),
        document_no: asked.document_no.clone(),
        ..MeasureTaken::default()
    });
    Ok(vec![view.noted(what, &asked.reason)])
}

/// The same again changes nothing; another content for the same measure is not a second measure.
fn repeated(asked: &Recording, known: &CarriedOut) -> Result<Vec<Planned>, ChangeError> {
    let fields = asked.differs_from(known);
    if fields.is_empty() {
        return Ok(Vec::new());
    }
    let why = format!(
        "this measure of this verdict is recorded for the entry by record {}: carried out at {}, \
         document `{}`; what is told now differs in {}; it is told once, as it was recorded",
        known.recorded.seq,
        known.at,
        known.document_no,
        fields.join(", ")
    );
    Err(ChangeError::not_possible("measure_known", why))
}

/// Why a row of the book cannot have been carried out by reason of an entry of a list.
fn not_by_reason_of(measure: &Measure, list: &ListCode) -> String {
    let lists: Vec<&str> = measure.lists.iter().map(ListCode::as_str).collect();
    let rests_on = match lists.as_slice() {
        [] => "no list".to_owned(),
        lists => lists.join(", "),
    };
    format!(
        "`{}` rests on {rests_on}, and the entry stands on {list}; name the measure and the entry together as the \
         verdict does (`triggered.measure`, `triggered.entry`)",
        measure.id
    )
}

/// The row of a measure: of several with one id that of the day on which it was carried out.
fn measure_of<'a>(id: &str, at: Time, book: &'a Book) -> Option<&'a Measure> {
    let rows = || book.measures().iter().filter(|row| row.id.as_str() == id);
    let on_day = rows().find(|row| row.in_force_on(at.date()));
    on_day.or_else(|| rows().next_back()).map(AsRef::as_ref)
}

/// Which measure the text of a notice is about.
pub(crate) struct About<'a> {
    /// The entry.
    pub entry: &'a Entry,
    /// The verdict; empty: not told.
    pub verdict_id: &'a str,
    /// The measure; empty: not told.
    pub measure_id: &'a str,
    /// Whom related to the listed one it fell on; none: not told.
    pub on: Option<u32>,
}

/// What the record of a measure and the book say for the text of a notice.
pub(crate) fn told(
    about: &About<'_>,
    desk: &Desk,
    book: &Book,
    now: Time,
) -> Result<Vec<(Placeholder, String)>, ChangeError> {
    let (entry_id, measure_id) = (about.entry.entry_id.as_str(), about.measure_id);
    let known = match (about.verdict_id, measure_id, about.on) {
        ("", "", None) => {
            let mut waiting = desk.measures.waiting_of(entry_id);
            match (waiting.next(), waiting.next()) {
                (Some(only), None) => Some(only),
                _ => None,
            }
        }
        (verdict, measure, on) => {
            let waiting = desk.measures.waiting_of(entry_id);
            let told = desk.measures.told_of(entry_id);
            let told = told.map(|(of, id, told)| (of, id, &told.measure));
            let fits = |told: &str, given: &str| given.is_empty() || told == given;
            let mut fitting = waiting.chain(told).filter(|(of, id, known)| {
                fits(of, verdict) && fits(id, measure) && (on.is_none() || known.place() == on)
            });
            fitting.next()
        }
    };
    let id = known.map_or(measure_id, |(_, id, _)| id);
    if id.is_empty() {
        return Ok(Vec::new());
    }
    let at = known.map_or(now, |(.., known)| known.at);
    let row = measure_of(id, at, book)
        .ok_or_else(|| Refused::one("measure_id", "the book has no such measure"))?;
    let bases: Vec<_> = row.bases.iter().map(Basis::cited).collect();
    let mut told = vec![
        (Placeholder::Measure, row.title.zh.to_string()),
        (Placeholder::MeasureBasis, bases.join("；")),
        (Placeholder::Remedies, row.remedies.zh.to_string()),
    ];
    if let Some((.., known)) = known {
        let decision = decision_zh(&known.reason.0, &known.document_no);
        if !decision.is_empty() {
            told.push((Placeholder::Decision, decision));
        }
        told.push((Placeholder::Implementer, known.by.0.clone()));
        if let Some(on) = &known.on {
            told.extend(addressed_to(on, about.entry));
        }
    }
    Ok(told)
}

/// The notice is addressed to whom the measure fell on, and says by which relation. What is not known of that
/// one stays empty: it is not the listed one's.
fn addressed_to(on: &FellOn, entry: &Entry) -> Vec<(Placeholder, String)> {
    let mut told = vec![
        (Placeholder::Subject, on.name.0.clone()),
        (Placeholder::Identifier, on.id.0.clone()),
    ];
    let listed = entry.name.as_ref().map(Sensitive::reveal);
    let role = Role::parse(&on.role);
    told.extend(role.map(|role| (Placeholder::Listed, related_zh(role, listed))));
    told
}
