//! Notices that were served, by entry: when, how, and by which proof.

use creditgate_measures::time::Time;
use creditgate_proto::encode::time_from_proto;
use creditgate_proto::journal::v1::NoticeServed;
use imbl::OrdMap;
use serde::{Deserialize, Serialize};

use super::Stamp;

/// The last time a notice was served; the change log has those before it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Service {
    /// When.
    pub at: Time,
    /// How: code of [`How`](crate::procedures::notices::How).
    pub how: String,
    /// Number of the document that proves it.
    pub proof: String,
    /// When and where it was recorded.
    pub recorded: Stamp,
}

/// Services by entry and notice: at most one for each notice of the book about an entry that is there,
/// however often it was served; entries are never deleted, they end.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Served(OrdMap<(String, String), Service>);

impl Served {
    /// The last service of a notice about an entry.
    #[must_use]
    pub fn get(&self, entry_id: &str, notice: &str) -> Option<&Service> {
        self.0.get(&(entry_id.to_owned(), notice.to_owned()))
    }

    /// Whether a service of this entry at this time is proven.
    #[must_use]
    pub fn proves(&self, entry_id: &str, at: Time) -> bool {
        self.0
            .range((entry_id.to_owned(), String::new())..)
            .take_while(|((of, _), _)| of == entry_id)
            .any(|(_, service)| service.at == at)
    }

    /// The service that a record tells; none: it says no time.
    pub(super) fn note(&mut self, served: &NoticeServed, recorded: Stamp) -> Option<Service> {
        let service = Service {
            at: served.served_at.as_ref().and_then(time_from_proto)?,
            how: served.how.clone(),
            proof: served.proof.clone(),
            recorded,
        };
        let key = (served.entry_id.clone(), served.notice.clone());
        // A service of an earlier day that is recorded later does not hide the one after it.
        if self.0.get(&key).is_none_or(|known| known.at <= service.at) {
            self.0.insert(key, service.clone());
        }
        Some(service)
    }
}
