//! Which changes a follower wants: by list, field, region and colour.

use std::collections::BTreeSet;

use creditgate_measures::book::Book;
use creditgate_measures::event::Region;
use creditgate_measures::vocabulary::Colour;
use creditgate_proto::{Refused, Violation, v1};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

/// Most values of one kind.
const VALUES_MAX: usize = 1_000;

/// What a follower wants. Kinds combine with "and", values of one kind with "or"; a kind without
/// values lets everything pass.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    /// Codes of lists.
    pub lists: BTreeSet<String>,
    /// Fields of lists, as the book names them.
    pub fields: BTreeSet<String>,
    /// Regions, six digits.
    pub regions: BTreeSet<String>,
    /// Colours of lists, by code.
    pub colours: BTreeSet<String>,
}

impl Filter {
    /// What a call to watch asks for.
    ///
    /// # Errors
    /// Every value that the book does not know, with those that it does.
    pub fn of_watch(asked: &v1::WatchEntriesRequest, book: &Book) -> Result<Self, Refused> {
        let set = |values: &[String]| values.iter().cloned().collect();
        let filter = Self {
            lists: set(&asked.lists),
            fields: set(&asked.fields),
            regions: set(&asked.regions),
            colours: set(&asked.colours),
        };
        filter.check(book)?;
        Ok(filter)
    }

    /// Whether the book knows every value.
    ///
    /// # Errors
    /// Every value that it does not know, with those that it does.
    pub fn check(&self, book: &Book) -> Result<(), Refused> {
        let lists = book.lists();
        let codes: BTreeSet<&str> = lists.iter().map(|list| list.code.as_str()).collect();
        let fields: BTreeSet<&str> = lists.iter().map(|list| &*list.field).collect();
        let colours: BTreeSet<&str> = Colour::ALL.iter().map(|colour| colour.code()).collect();
        let mut violations = Vec::new();
        for (kind, asked, known) in [
            ("lists", &self.lists, codes),
            ("fields", &self.fields, fields),
            ("colours", &self.colours, colours),
        ] {
            if asked.iter().any(|value| !known.contains(value.as_str())) {
                let known: Vec<&str> = known.into_iter().collect();
                let rule = format!(
                    "not known to the book in force; known: {}",
                    known.join(", ")
                );
                violations.push(Violation::new(kind, rule));
            }
        }
        if self
            .regions
            .iter()
            .any(|code| Region::parse(code).is_none())
        {
            let rule =
                "expected codes of six digits, such as `320500`; `100000` is the whole country";
            violations.push(Violation::new("regions", rule));
        }
        for (kind, values) in self.kinds() {
            if values.len() > VALUES_MAX {
                violations.push(Violation::new(kind, format!("at most {VALUES_MAX}")));
            }
        }
        Refused::unless_empty(violations)
    }

    const fn kinds(&self) -> [(&'static str, &BTreeSet<String>); 4] {
        [
            ("lists", &self.lists),
            ("fields", &self.fields),
            ("regions", &self.regions),
            ("colours", &self.colours),
        ]
    }

    /// What that means with a book. Fields and colours of a list are those of this book; a list that
    /// it does not have passes only where neither is asked for.
    pub(crate) fn with(&self, book: &Book) -> Wanted {
        let lists = book.lists().into_iter().map(|list| {
            let passes = (self.lists.is_empty() || self.lists.contains(list.code.as_str()))
                && (self.fields.is_empty() || self.fields.contains(&*list.field))
                && (self.colours.is_empty() || self.colours.contains(list.colour.code()));
            (
                list.code.as_str().to_owned(),
                OfList {
                    passes,
                    region: list.default_region,
                },
            )
        });
        Wanted {
            of_lists: lists.collect(),
            others: (self.fields.is_empty() && self.colours.is_empty()).then(|| self.lists.clone()),
            regions: self
                .regions
                .iter()
                .filter_map(|code| Region::parse(code))
                .collect(),
        }
    }
}

/// A filter, worked out for one book.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    of_lists: FxHashMap<String, OfList>,
    /// Lists that the book does not have: none of them, these, or, when it names none, any.
    others: Option<BTreeSet<String>>,
    regions: Vec<Region>,
}

#[derive(Debug, Clone, Copy)]
struct OfList {
    passes: bool,
    /// Region of its entries that state none.
    region: Option<Region>,
}

impl Wanted {
    /// Whether changes of this list may pass.
    pub fn list(&self, code: &str) -> bool {
        match self.of_lists.get(code) {
            Some(list) => list.passes,
            None => self
                .others
                .as_ref()
                .is_some_and(|lists| lists.is_empty() || lists.contains(code)),
        }
    }

    /// Whether regions are asked for.
    pub const fn by_region(&self) -> bool {
        !self.regions.is_empty()
    }

    /// Whether an entry of this list with this region of its own concerns a region asked for: one
    /// lies within the other, or the entry is national.
    pub fn region(&self, list: &str, own: Option<Region>) -> bool {
        let default = || self.of_lists.get(list).and_then(|list| list.region);
        match own.or_else(default) {
            None => true,
            Some(region) => {
                let concerns = |asked: &Region| asked.contains(region) || region.contains(*asked);
                self.regions.is_empty() || self.regions.iter().any(concerns)
            }
        }
    }
}
