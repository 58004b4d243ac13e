//! Who follows the lists, and which changes of them they see.
//!
//! A follower names lists, fields, regions and colours ([`Filter`]); whoever reads the change log for
//! it ([`read`]) looks at the head of each record and opens only what it sends. Both the stream of
//! `WatchEntries` ([`watch`]) and the subscriptions ([`crate::subscriptions`]) read this way.

mod filter;
pub(crate) mod moves;
mod reader;
mod watch;

pub use filter::Filter;
pub(crate) use filter::Wanted;
pub(crate) use reader::read;
pub(crate) use watch::{log_unreadable, watch};
