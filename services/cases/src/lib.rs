//! Cases: from the first check of a business number to the last measure that is lifted
//! (specification, 8).
//!
//! What a case is follows from its verdicts and from the records of its own journal; tables are
//! projections that can be thrown away.

mod cases;
mod cause;
pub mod deliveries;
mod error;
pub mod facts;
mod keeper;
mod listed;
mod log;
mod notice;
mod pages;
mod review;
mod rows;
mod service;
pub mod state;
mod subject;
mod table;
mod tell;
mod tellings;
mod terms;

pub use cases::{Cases, OnKafka, Options};
pub use error::{ActError, Error};
pub use log::Fault;
pub use service::CasesService;
pub use tellings::CaseLog;
pub use terms::Settings;

/// The name under which cases speak to readiness.
pub const COMPONENT: &str = "cases";
