//! Procedures around entries: objections, repairs, talks, commitments, and the notices that are
//! served (specification, 3).
//!
//! A procedure is asked for ([`form`]), judged against the table of its steps ([`table`]) and what is
//! known when its turn comes ([`open`], [`step`]), and recorded together with what it does to the
//! entry. How far each has come, the desk tells. [`due`] looks over everything and tells what waits,
//! [`remedies`] how a subject may object or be repaired.

mod due;
mod form;
mod limits;
mod measures;
pub mod notices;
mod open;
pub(crate) mod remedies;
mod service;
mod shown;
mod step;
pub mod table;

use creditgate_measures::time::Time;
use creditgate_proto::Refused;
use creditgate_proto::encode::time_to_proto;
use creditgate_proto::journal::v1::{ProcedureStep, desk_record::What};

use crate::error::ChangeError;
use crate::keeper::{Planned, View};
use form::Told;
use table::Step;

pub use service::ProceduresService;

/// When a step was taken: a time that has come.
fn taken_at(told: &Told, now: Time) -> Result<Time, ChangeError> {
    match told.at.unwrap_or(now) {
        at if at > now => Err(ChangeError::Invalid(Refused::one(
            "at",
            "lies in the future; a step is recorded when it has been taken",
        ))),
        at => Ok(at),
    }
}

/// What every record of a step says.
fn step_record(procedure_id: &str, step: Step, told: &Told, at: Time) -> ProcedureStep {
    ProcedureStep {
        procedure_id: procedure_id.to_owned(),
        step: step.code().to_owned(),
        by: told.by.clone(),
        at: Some(time_to_proto(at)),
        document_no: told.document_no.clone(),
        ..ProcedureStep::default()
    }
}

/// The record of a step.
fn noted(view: &View<'_>, step: ProcedureStep, told: &Told) -> Planned {
    view.noted(What::ProcedureStep(step), &told.reason)
}
