//! The one writer of lists: import, life cycle, confirmations, and the change log that gates follow.
//!
//! A change goes: asked ([`change`], [`import`]) → judged ([`life`]) → recorded ([`log`]) →
//! published (`runtime::live`). One loop ([`keeper`]) owns the lists; the [`Registry`] is the handle
//! by which everybody speaks to it, [`Service`] the same over gRPC. Everything but the log can be
//! thrown away: base files ([`base_file`]) only make the start fast. This crate knows nothing of
//! verdicts; what was known when one was given, [`history`] tells. What is known of subjects beyond
//! what sources state, [`identity`] keeps; a subject's report hands on what the cases say through a port.
//! What cases tell of their reports, [`told`] takes in. Where the log is shared over Kafka, [`upstream`]
//! brings it here. How a book comes into force, [`book`] tells.

pub mod book;
pub mod change;
pub mod desk;
pub mod error;
pub mod files;
pub mod follow;
mod history;
pub mod identity;
pub mod import;
pub mod inbox;
pub mod life;
pub mod log;
pub mod lookup;
pub mod procedures;
pub mod subscriptions;
pub mod told;
pub mod upstream;

mod acted_on;
mod archive;
mod base_file;
mod clockwork;
mod index;
mod keeper;
mod past_entries;
mod registry;
mod sealed_file;
mod sealing;
mod seen;
mod service;
mod spool;
mod viewpoint;

pub use archive::Archive;
pub use base_file::mapped;
pub use book::BooksService;
pub use error::{ChangeError, Error};
pub use identity::IdentityService;
pub use import::differ::SourceRules;
pub use keeper::{Applied, COMPONENT};
pub use procedures::ProceduresService;
pub use registry::{Import, OVERLAY_MIN, Options, Registry};
pub use service::Service;
pub use upstream::Upstream;
