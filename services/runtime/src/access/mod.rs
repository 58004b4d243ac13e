//! What a caller may ask about, and what is kept of those who ask.
//!
//! The keys file tells who somebody is; an access policy tells what they may do: by their roles, and by the matters they
//! deal with. What a policy does not say is refused. What they are told it bounds by purpose, by list and by age. Whoever
//! was refused, and whoever did something else than have an event decided, stands in the record of calls.

mod about;
mod calls;
mod policy;
mod scope;
mod service;
mod trial;
mod view;

pub use about::{About, ReportAsked};
pub use calls::{Asked, Call, CallRecords, Calls, Noted, Outcome, calls_of, digest_in};
pub use policy::{Error, Member, Policy, Role};
pub use scope::{Matter, Outside, Question, Scope};
pub use service::AccessService;
pub use trial::{Answered, Trial, Tried};
pub use view::{AGE_YEARS, Entries, Lists, Reasons, Sees, Sight, View};
