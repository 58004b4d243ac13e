//! Who a subject is: names, further identifiers, relations and codes beyond what sources state.
//!
//! What stands is kept on the desk (`crate::desk::identity`). [`complete`] makes of a source's
//! statement what an entry looks like; every statement goes through it, from an import or from a
//! person, so that what was found out once is not undone by the next file. [`change`] records
//! changes and takes them back, [`codes`] proposes codes for entries without one, [`subject`] shows
//! all of a subject, [`report`] tells a subject of itself, [`wrong`] keeps the register of wrong hits.

pub(crate) mod change;
pub(crate) mod codes;
pub(crate) mod complete;
pub(crate) mod report;
pub(crate) mod service;
pub(crate) mod shown;
pub(crate) mod subject;
pub mod view_cache;
pub(crate) mod wrong;

pub use service::IdentityService;
