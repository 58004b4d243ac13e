//! What each source confirmed of each list, and where sources state different things about an entry.

use std::collections::BTreeSet;

use creditgate_measures::lists::is_ahead;
use creditgate_measures::time::Time;
use creditgate_proto::journal::v1::SourcesDiffer;
use imbl::OrdMap;
use serde::{Deserialize, Serialize};

use super::Stamp;
use crate::log::Confirmation;

/// When a source last confirmed a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SourceAge {
    /// As of when.
    pub confirmed_at: Time,
    /// The record that says so.
    pub recorded: Stamp,
}

/// What a source states that does not stand, since another one goes before it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// Code of the entry's list.
    pub list: String,
    /// The source whose statement stands.
    pub stands: String,
    /// Names of the fields that differ.
    pub fields: Vec<String>,
    /// The state it states, where that is another one.
    pub state: String,
    /// Since when it is known.
    pub since: Stamp,
}

/// Sources, by list; differences, by entry and source.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Sources {
    confirmed: OrdMap<(String, String), SourceAge>,
    differences: OrdMap<(String, String), Difference>,
}

impl Sources {
    /// The sources that confirmed a list, by name.
    pub fn of_list<'a>(
        &'a self,
        list: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a SourceAge)> + 'a {
        self.confirmed
            .range((list.to_owned(), String::new())..)
            .take_while(move |((of, _), _)| of == list)
            .map(|((_, source), age)| (source.as_str(), age))
    }

    /// The differences after an entry id, by entry and source: entry, source, difference.
    pub fn differences_after<'a>(
        &'a self,
        entry_id: &str,
    ) -> impl Iterator<Item = (&'a str, &'a str, &'a Difference)> + 'a {
        let entry_id = entry_id.to_owned();
        self.differences
            .range((entry_id.clone(), String::new())..)
            .filter(move |((of, _), _)| *of != entry_id)
            .map(|((entry, source), difference)| (entry.as_str(), source.as_str(), difference))
    }

    /// The differences of one entry: source and difference.
    pub fn differences_of<'a>(
        &'a self,
        entry_id: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a Difference)> + 'a {
        self.differences
            .range((entry_id.to_owned(), String::new())..)
            .take_while(move |((of, _), _)| of == entry_id)
            .map(|((_, source), difference)| (source.as_str(), difference))
    }

    /// Whether a source is known to state something else of an entry.
    #[must_use]
    pub fn differed(&self, entry_id: &str, source: &str) -> bool {
        !self.differences.is_empty()
            && self
                .differences
                .contains_key(&(entry_id.to_owned(), source.to_owned()))
    }

    /// Whether this difference is known as it is.
    #[must_use]
    pub fn knows(&self, differ: &SourcesDiffer) -> bool {
        let key = (differ.entry_id.clone(), differ.differs.clone());
        match self.differences.get(&key) {
            None => differ.fields.is_empty(),
            Some(known) => {
                known.fields == differ.fields
                    && known.state == differ.state
                    && known.stands == differ.stands
            }
        }
    }

    /// As of when a whole list is confirmed when a source confirms it as of `at`: by the stalest of the
    /// sources declared for it, or of all that ever confirmed it where none are declared. A confirmation
    /// that names no source speaks for all. None: a declared source has never confirmed it.
    #[must_use]
    pub fn whole(
        &self,
        list: &str,
        (source, at): (&str, Time),
        declared: &[String],
        now: Time,
    ) -> Option<Time> {
        let latest = |of: &str| {
            let key = (list.to_owned(), of.to_owned());
            let known = self.confirmed.get(&key).map(|age| age.confirmed_at);
            // One that a clock running ahead recorded tells nothing.
            let known = known.filter(|at| !is_ahead(*at, now));
            known.max((of == source).then_some(at))
        };
        let known = self.of_list(list).map(|(source, _)| source);
        let sources: BTreeSet<&str> = match declared {
            [] => known.chain([source]).filter(|of| !of.is_empty()).collect(),
            declared => declared.iter().map(String::as_str).collect(),
        };
        let for_all = latest("");
        let confirmed = sources.into_iter().map(|of| latest(of).max(for_all));
        // `None` is less than any time.
        confirmed.min().unwrap_or(for_all)
    }

    pub(crate) fn confirmed(&mut self, confirmation: &Confirmation, recorded: Stamp) {
        let (list, at) = (confirmation.list.as_str(), confirmation.at);
        let key = (list.to_owned(), confirmation.source_unit.clone());
        let age = SourceAge {
            confirmed_at: at,
            recorded,
        };
        let known = self.confirmed.entry(key).or_insert_with(|| age.clone());
        if known.confirmed_at <= at || is_ahead(known.confirmed_at, recorded.at) {
            *known = age;
        }
    }

    pub(super) fn differ(&mut self, differ: &SourcesDiffer, stamp: Stamp) {
        let key = (differ.entry_id.clone(), differ.differs.clone());
        if differ.fields.is_empty() {
            self.differences.remove(&key);
            return;
        }
        let difference = Difference {
            list: differ.list.clone(),
            stands: differ.stands.clone(),
            fields: differ.fields.clone(),
            state: differ.state.clone(),
            since: stamp,
        };
        self.differences.insert(key, difference);
    }
}
