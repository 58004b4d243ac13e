//! Notices: which are due by the state of an entry, and the records by which they were served.
//!
//! What is due is derived and never stored: a notice is due from its occasion until its service is
//! recorded.

use creditgate_measures::book::{Book, List};
use creditgate_measures::clocks::notice::occasion_of;
use creditgate_measures::clocks::{ClockKind, Notice, Occasion, clocks};
use creditgate_measures::entry::Entry;
use creditgate_measures::time::Time;
use creditgate_measures::vocabulary::{Colour, State};
use creditgate_proto::encode::time_to_proto;
use creditgate_proto::journal::v1::{NoticeServed, desk_record::What};
use creditgate_proto::{Refused, v1};

use super::form::Form;
use super::table::{Kind, Outcome, Step};
use crate::desk::Desk;
use crate::error::ChangeError;
use crate::keeper::{Planned, View, put_of};
use crate::life;

/// Measures that a refusal names.
const NAMED_MAX: usize = 5;

/// How a notice is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// 邮寄送达.
    Post,
    /// 电子送达.
    Electronic,
    /// 直接送达.
    Personal,
    /// 公告送达.
    PublicNotice,
}

impl How {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::Post,
        Self::Electronic,
        Self::Personal,
        Self::PublicNotice,
    ];

    /// The code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Post => "post",
            Self::Electronic => "electronic",
            Self::Personal => "personal",
            Self::PublicNotice => "public_notice",
        }
    }
}

/// A notice that is to be served.
pub(crate) struct DueNotice<'b> {
    /// The template.
    pub notice: &'b Notice,
    /// Since when.
    pub since: Time,
    /// The measure that it tells of.
    pub measure: Option<DueMeasure>,
}

/// A measure whose subject is to be told.
pub(crate) struct DueMeasure {
    /// The verdict.
    pub verdict_id: String,
    /// The measure.
    pub measure_id: String,
    /// The office that carried it out, and tells of it.
    pub by: String,
    /// Whom related to the listed one it fell on.
    pub on: Option<u32>,
}

/// The notices about an entry that are to be served at a time. None for a red list.
pub(crate) fn due<'b>(
    entry: &Entry,
    list: &List,
    book: &'b Book,
    desk: &Desk,
    at: Time,
) -> Vec<DueNotice<'b>> {
    if list.colour == Colour::Red {
        return Vec::new();
    }
    let mut occasions = of_state(entry, book, at);
    occasions.extend(of_procedures(entry, desk));
    let of_occasions = occasions.into_iter().filter_map(|(occasion, since)| {
        let notice = book.notice_on(occasion)?;
        let served = desk.served.get(entry.entry_id.as_str(), &notice.id);
        // A service may be told by its day alone.
        let is_served = served.is_some_and(|served| served.at.date() >= since.date());
        (!is_served).then_some(DueNotice {
            notice,
            since,
            measure: None,
        })
    });
    of_occasions.chain(of_measures(entry, book, desk)).collect()
}

/// That a measure was carried out is told of each one, whatever has become of the entry since.
fn of_measures<'b>(entry: &Entry, book: &'b Book, desk: &Desk) -> Vec<DueNotice<'b>> {
    let notice = book.notice_on(Occasion::MeasureBitten);
    let waiting = desk.measures.waiting_of(entry.entry_id.as_str());
    let due = waiting.filter_map(|(verdict_id, measure_id, known)| {
        Some(DueNotice {
            notice: notice?,
            since: known.at,
            measure: Some(DueMeasure {
                verdict_id: verdict_id.to_owned(),
                measure_id: measure_id.to_owned(),
                by: known.by.0.clone(),
                on: known.place(),
            }),
        })
    });
    due.collect()
}

/// The occasions that the state of an entry gives.
fn of_state(entry: &Entry, book: &Book, at: Time) -> Vec<(Occasion, Time)> {
    let state = entry.last_state();
    let since = entry
        .changes
        .last()
        .map_or(entry.recorded_at, |last| last.effective_at);
    let dues = clocks(entry, book);
    let passed = |kind: ClockKind| {
        let mut of_kind = dues.iter().filter(move |due| due.kind == kind);
        of_kind.find(|due| due.at <= at).map(|due| due.at)
    };
    if passed(ClockKind::Ends).is_some() {
        return Vec::new();
    }
    let mut occasions = Vec::new();
    match state {
        State::Proposed => occasions.push((Occasion::ListingPlanned, since)),
        State::Notified | State::Effective | State::Suspended => {
            if entry.served_at.is_none() {
                occasions.push((Occasion::Listing, since));
                occasions.push((Occasion::RepairNotice, since));
            }
            if let (State::Effective | State::Suspended, Some(from)) =
                (state, passed(ClockKind::RepairFrom))
            {
                occasions.push((Occasion::RepairPossible, from));
            }
        }
        // One that came to the registry in this state ended elsewhere, and was told there.
        State::Repaired | State::Revoked if entry.changes.len() < 2 => {}
        State::Repaired | State::Revoked => {
            occasions.extend(occasion_of(state).map(|occasion| (occasion, since)));
        }
    }
    occasions
}

/// The occasions that the procedures of an entry give.
fn of_procedures(entry: &Entry, desk: &Desk) -> Vec<(Occasion, Time)> {
    let mut occasions = Vec::new();
    for procedure in desk.procedures.of_entry(entry.entry_id.as_str()) {
        let occasion = match (procedure.kind, procedure.state()) {
            (Kind::Objection, Step::Decided) => {
                let withdrawn = procedure.outcome() == Some(Outcome::Withdrawn);
                (!withdrawn).then_some(Occasion::ObjectionResult)
            }
            (Kind::Talk, Step::Scheduled) => Some(Occasion::Talk),
            _ => None,
        };
        if let (Some(occasion), Some(last)) = (occasion, procedure.steps.last()) {
            // The last one of an occasion counts.
            occasions.retain(|(known, _)| *known != occasion);
            occasions.push((occasion, last.at));
        }
    }
    occasions
}

/// The templates that are served by the same act as this one, whichever of them says so.
pub fn partners<'b>(notice: &'b Notice, book: &'b Book) -> Vec<&'b str> {
    let named = notice.together_with.iter().map(AsRef::as_ref);
    let naming = book.notices().iter().filter(|other| {
        let mut with = other.together_with.iter();
        with.any(|with| *with == notice.id)
    });
    let mut partners: Vec<&str> = named.chain(naming.map(|other| other.id.as_ref())).collect();
    partners.sort_unstable();
    partners.dedup();
    partners
}

/// Notices that were served by one act.
pub(crate) struct Serving {
    entry_id: String,
    notices: Vec<String>,
    how: How,
    proof: String,
    at: Time,
    by: String,
    reason: String,
    verdict_id: String,
    measure_id: String,
    on: Option<u32>,
}

impl Serving {
    /// What a request tells.
    ///
    /// # Errors
    /// All rules of its form that it breaks.
    pub fn read(asked: v1::RecordServiceRequest) -> Result<Self, Refused> {
        let mut form = Form::default();
        let entry_id = form.required("entry_id", &asked.entry_id, 128, "about which entry");
        if asked.notices.is_empty() {
            form.refuse("notices", "required: name the notices that were served");
        }
        let how = form.word("how", &asked.how, How::ALL, How::code);
        if asked.how.is_empty() {
            let rule = "required: post, electronic, personal or public_notice";
            form.refuse("how", rule);
        }
        let proof = form.required("proof", &asked.proof, 512, "which document proves it");
        let at = form.time("served_at", asked.served_at);
        if asked.served_at.is_none() {
            form.refuse("served_at", "required: say when they were served");
        }
        let by = form.required("by", &asked.by, 256, "who served them");
        let reason = form.text("reason", &asked.reason, 4_096);
        let verdict_id = form.text("verdict_id", &asked.verdict_id, 128);
        let measure_id = form.text("measure_id", &asked.measure_id, 128);
        form.check()?;
        match (how, at) {
            (Some(how), Some(at)) => Ok(Self {
                entry_id,
                notices: asked.notices,
                how,
                proof,
                at,
                by,
                reason,
                verdict_id,
                measure_id,
                on: asked.verdict_subject,
            }),
            // Told above.
            _ => Err(Refused::one("served_at", "required")),
        }
    }
}

/// The records of a service, and whether the entry gets its `served_at` by it.
pub(crate) fn plan(asked: &Serving, view: &View<'_>) -> Result<(Vec<Planned>, bool), ChangeError> {
    let entry = view.entry(&asked.entry_id)?;
    if asked.at > view.now {
        let rule = "lies in the future; a service is recorded when it is proven";
        return Err(Refused::one("served_at", rule).into());
    }
    let mut templates = Vec::new();
    for id in &asked.notices {
        let notice = view.book.notice(id).ok_or(ChangeError::Unknown("notice"))?;
        if !templates
            .iter()
            .any(|known: &&Notice| known.id == notice.id)
        {
            templates.push(notice);
        }
    }
    for notice in &templates {
        together(notice, &templates, view.book)?;
        fits(notice, asked, &entry)?;
    }
    let on = tells_of_a_measure(asked, &templates, view)?;
    let served = |notice: &&Notice| {
        let what = What::NoticeServed(NoticeServed {
            notice: notice.id.to_string(),
            entry_id: asked.entry_id.clone(),
            how: asked.how.code().to_owned(),
            proof: asked.proof.clone(),
            served_at: Some(time_to_proto(asked.at)),
            by: asked.by.clone(),
            verdict_id: asked.verdict_id.clone(),
            measure_id: asked.measure_id.clone(),
            verdict_subject: on,
        });
        view.noted(what, &asked.reason)
    };
    let mut planned: Vec<Planned> = templates.iter().map(served).collect();
    let proves = templates.iter().any(|notice| notice.proves_service);
    let sets = proves && entry.served_at.is_none();
    if sets {
        let step = life::Step {
            entry: Entry {
                served_at: Some(asked.at),
                ..entry
            },
            action: life::action::CORRECTED,
        };
        planned.push(put_of(&step, view.caller, SERVED, &asked.proof));
    }
    Ok((planned, sets))
}

/// Why an entry is corrected by a proof of service.
const SERVED: &str = "served";

/// What belongs together is served by one act (DP-09).
fn together(notice: &Notice, served: &[&Notice], book: &Book) -> Result<(), ChangeError> {
    let missing: Vec<&str> = partners(notice, book)
        .into_iter()
        .filter(|partner| !served.iter().any(|notice| *notice.id == **partner))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let why = format!(
        "notice `{}` is served together with {} by one act (两书同达); name them all",
        notice.id,
        missing
            .iter()
            .map(|id| format!("`{id}`"))
            .collect::<Vec<_>>()
            .join(", ")
    );
    Err(ChangeError::not_possible("served_together", why))
}

fn fits(notice: &Notice, asked: &Serving, entry: &Entry) -> Result<(), ChangeError> {
    if notice.proves_service && entry.last_state() == State::Proposed {
        let why = "the entry is PROPOSED: there is no decision yet that could be served";
        return Err(ChangeError::not_possible("entry_state", why));
    }
    if notice.proves_service && asked.at.date() < entry.valid_from.date() {
        let rule = "lies before the decision; look at the proof of service, or correct the entry";
        return Err(Refused::one("served_at", rule).into());
    }
    Ok(())
}

/// The notice of a measure tells of one that is recorded, and no other notice tells of any: with a
/// slip in an id, the service of one would be taken for that of none. Gives whom it fell on, where that is
/// not the listed one.
fn tells_of_a_measure(
    asked: &Serving,
    served: &[&Notice],
    view: &View<'_>,
) -> Result<Option<u32>, ChangeError> {
    let mut notices = served.iter();
    let tells = notices.any(|notice| notice.when == Occasion::MeasureBitten);
    let (verdict_id, measure_id) = (&*asked.verdict_id, &*asked.measure_id);
    match (tells, verdict_id.is_empty(), measure_id.is_empty()) {
        (false, true, true) => return Ok(None),
        (false, ..) => {
            let rule = "only the notice that a measure was carried out tells of a verdict and a measure; leave both empty, or name that notice";
            return Err(Refused::one("verdict_id", rule).into());
        }
        (true, false, false) => {}
        (true, ..) => {
            let rule = "required, with `measure_id`: say which verdict and measure it tells of";
            return Err(Refused::one("verdict_id", rule).into());
        }
    }
    let measures = &view.desk.measures;
    let places = measures.places(&asked.entry_id, verdict_id, measure_id);
    let on = match (asked.on, places.as_slice()) {
        (Some(on), _) => Some(on),
        (None, [only]) => *only,
        (None, all) if all.is_empty() || all.contains(&None) => None,
        (None, all) => {
            let all: Vec<_> = all.iter().flatten().map(u32::to_string).collect();
            let why = format!(
                "this measure fell on several who are related to the listed one, and each is told; say whom \
                 was, by the place in the verdict (`verdict_subject`): {}",
                all.join(", ")
            );
            return Err(ChangeError::not_possible("measure_of_several", why));
        }
    };
    let Some(known) = measures.get(&asked.entry_id, verdict_id, measure_id, on) else {
        let waiting = measures.waiting_of(&asked.entry_id).take(NAMED_MAX);
        let waiting: Vec<_> = waiting
            .map(|(verdict, measure, _)| format!("`{measure}` of verdict `{verdict}`"))
            .collect();
        let waiting = match waiting.as_slice() {
            [] => "none waits to be told".to_owned(),
            some => format!("these wait to be told: {}", some.join(", ")),
        };
        let why = format!(
            "no such measure is recorded for this entry; {waiting}. Look at the ids, or record first \
             that it was carried out (`creditgate lists measure-taken`)"
        );
        return Err(ChangeError::not_possible("measure_unknown", why));
    };
    // A service may be told by its day alone.
    if asked.at.date() < known.at.date() {
        let rule = format!(
            "lies before the measure was carried out, on {}",
            known.at.date()
        );
        return Err(Refused::one("served_at", rule).into());
    }
    Ok(on)
}
