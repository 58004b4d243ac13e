//! What differs between two books, in words and with what it means for people.
//!
//! A row bears on people when it reaches more or fewer of them, or binds harder or softer. What a
//! change of wording means, only a person can say: it is told, and counted as unclear where it can matter.

mod facets;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use serde::Serialize;

use super::{Book, Measure};
use crate::event::MeasureId;
use crate::vocabulary::Direction;
use facets::Facet;

/// Everything that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BookDiff {
    /// Version of the book as it was.
    pub old: String,
    /// Version of the book as it is.
    pub new: String,
    /// The differences, by what they are about, then by id.
    pub differences: Vec<Difference>,
    /// How many rows became what.
    pub summary: Summary,
}

/// What a difference is about, in the order in which differences are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum About {
    /// The head of the book.
    Book,
    /// The edition of the national list, or one of its items.
    Edition,
    /// A supplement.
    Supplement,
    /// A row.
    Row,
    /// A list of subjects.
    List,
    /// A rule on repair.
    RepairRule,
    /// The working calendar of a year.
    Calendar,
    /// A template of a notice.
    Notice,
    /// A scenario.
    Scenario,
    /// An agreement.
    Agreement,
    /// Something that is not expressed.
    NotExpressed,
}

/// One thing that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What it is about.
    pub about: About,
    /// Its id or code.
    pub id: String,
    /// Its name.
    pub title: String,
    /// What became of it.
    pub change: Change,
    /// What that means for people.
    pub bearing: Bearing,
}

/// What became of a row, a list or a scenario.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It is another in these fields.
    Changed(Vec<FieldChange>),
    /// A row has a version more, which differs in these fields from the one before it.
    NewVersion(Vec<FieldChange>),
}

/// What became of a field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldChange {
    /// The field, as the files name it.
    pub field: &'static str,
    /// What became of it.
    #[serde(flatten)]
    pub what: What,
    /// What that means for people.
    pub bearing: Bearing,
}

/// What became of the value of a field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "what")]
pub enum What {
    /// It is another.
    Became {
        /// What it was; none when the field was absent.
        was: Option<String>,
        /// What it is; none when the field is absent.
        is: Option<String>,
    },
    /// It stands higher than before: a stronger effect or force, a longer time.
    Rose {
        /// What it was.
        was: String,
        /// What it is.
        is: String,
    },
    /// It stands lower than before.
    Fell {
        /// What it was.
        was: String,
        /// What it is.
        is: String,
    },
    /// Members came or went.
    Members {
        /// Those that came.
        added: Vec<String>,
        /// Those that went.
        removed: Vec<String>,
        /// No member means every one, and that is so before or after.
        #[serde(skip_serializing_if = "Option::is_none")]
        every: Option<Every>,
    },
}

/// When a field without members meant every one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Every {
    /// It did before.
    Before,
    /// It does now.
    Now,
}

/// What a change means for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bearing {
    /// Nothing.
    Nothing,
    /// A burden is heavier or reaches further, a reward lighter or reaches less far.
    Stricter,
    /// The other way round.
    Milder,
    /// Both, or only a person can say.
    Unclear,
}

impl Bearing {
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Nothing, other) => other,
            (one, Self::Nothing) => one,
            (one, other) if one == other => one,
            _ => Self::Unclear,
        }
    }

    const fn turned(self) -> Self {
        match self {
            Self::Stricter => Self::Milder,
            Self::Milder => Self::Stricter,
            other => other,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Nothing => "no change for people",
            Self::Stricter => "stricter",
            Self::Milder => "milder",
            Self::Unclear => "both ways or unclear",
        }
    }
}

/// How many rows became what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Rows that burden more or reward less.
    pub stricter: usize,
    /// Rows that burden less or reward more.
    pub milder: usize,
    /// Rows that do both, or of which only a person can say.
    pub unclear: usize,
    /// Rows that differ without bearing on anybody.
    pub without_bearing: usize,
    /// Differences outside rows.
    pub beside_rows: usize,
}

impl BookDiff {
    /// Compares two books.
    #[must_use]
    pub fn of(old: &Book, new: &Book) -> Self {
        let mut differences = rows(old, new);
        for kind in facets::BESIDE_ROWS {
            differences.extend(beside(kind, old, new));
        }
        differences.sort_by(|a, b| a.place().cmp(&b.place()));
        let mut summary = Summary::default();
        for difference in &differences {
            let count = match (difference.about, difference.bearing) {
                (About::Row, Bearing::Stricter) => &mut summary.stricter,
                (About::Row, Bearing::Milder) => &mut summary.milder,
                (About::Row, Bearing::Unclear) => &mut summary.unclear,
                (About::Row, Bearing::Nothing) => &mut summary.without_bearing,
                _ => &mut summary.beside_rows,
            };
            *count += 1;
        }
        Self {
            old: old.version().to_string(),
            new: new.version().to_string(),
            differences,
            summary,
        }
    }

    /// Whether the books say the same; their files may still differ in comments and cases.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.differences.is_empty()
    }

    /// The differences in words, grouped, with the summary at the end.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        let mut group = "";
        for difference in &self.differences {
            let heading = difference.heading();
            if heading != group {
                // Writing to a String cannot fail.
                let _ = writeln!(out, "{}{heading}", if group.is_empty() { "" } else { "\n" });
                group = heading;
            }
            difference.tell(&mut out);
        }
        if self.is_empty() {
            out.push_str(if self.old == self.new {
                "the books are the same\n"
            } else {
                "the books say the same; their files differ in comments or cases\n"
            });
        } else {
            let _ = writeln!(out, "\n{}", self.summary);
        }
        out
    }
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let rows = |count: usize| match count {
            1 => "1 row".to_owned(),
            count => format!("{count} rows"),
        };
        write!(
            f,
            "stricter: {}, milder: {}, {}: {}, {}: {}; beside rows: {}",
            rows(self.stricter),
            rows(self.milder),
            Bearing::Unclear.word(),
            rows(self.unclear),
            Bearing::Nothing.word(),
            rows(self.without_bearing),
            self.beside_rows
        )
    }
}

impl Difference {
    /// Where it is told: what came, then what went, then what changed.
    fn place(&self) -> (About, u8, &str) {
        let group = match self.change {
            Change::Added => 0,
            Change::Removed => 1,
            Change::Changed(_) | Change::NewVersion(_) => 2,
        };
        (self.about, group, &self.id)
    }

    const fn heading(&self) -> &'static str {
        match (self.about, &self.change) {
            (About::Book, _) => "Book",
            (About::Edition, _) => "Edition of the national list",
            (About::Supplement, _) => "Supplements",
            (About::Row, Change::Added) => "Rows added",
            (About::Row, Change::Removed) => "Rows removed",
            (About::Row, Change::Changed(_) | Change::NewVersion(_)) => "Rows changed",
            (About::List, _) => "Lists",
            (About::RepairRule, _) => "Repair rules",
            (About::Calendar, _) => "Working calendars",
            (About::Notice, _) => "Notices",
            (About::Scenario, _) => "Scenarios",
            (About::Agreement, _) => "Agreements",
            (About::NotExpressed, _) => "Not expressed",
        }
    }

    fn tell(&self, out: &mut String) {
        let (what, fields): (_, &[FieldChange]) = match &self.change {
            Change::Added => ("added", &[]),
            Change::Removed => ("removed", &[]),
            Change::Changed(fields) => ("changed", fields),
            Change::NewVersion(fields) => ("has a new version", fields),
        };
        let meaning = match (self.about, self.bearing) {
            (About::Row, bearing) => format!(" ({})", bearing.word()),
            (_, Bearing::Nothing) => String::new(),
            (_, bearing) => format!(" ({})", bearing.word()),
        };
        let _ = writeln!(out, "  {} {} {what}{meaning}", self.id, self.title);
        for field in fields {
            field.tell(out);
        }
    }
}

impl FieldChange {
    fn tell(&self, out: &mut String) {
        let field = self.field;
        let told = match &self.what {
            What::Became { was, is } => {
                let or_none = |text: &Option<String>| text.clone().unwrap_or("none".to_owned());
                format!("{field}: was {}, is {}", or_none(was), or_none(is))
            }
            What::Rose { was, is } => format!("{field}{}: was {was}, is {is}", self.moved(true)),
            What::Fell { was, is } => format!("{field}{}: was {was}, is {is}", self.moved(false)),
            What::Members {
                added,
                removed,
                every,
            } => {
                let mut parts = Vec::new();
                if *every == Some(Every::Before) {
                    parts.push(format!("was {}", self.every()));
                }
                if !added.is_empty() {
                    parts.push(format!("added {}", added.join("; ")));
                }
                if !removed.is_empty() {
                    parts.push(format!("removed {}", removed.join("; ")));
                }
                if *every == Some(Every::Now) {
                    parts.push(format!("is {}", self.every()));
                }
                format!("{field}: {}", parts.join(", "))
            }
        };
        let _ = writeln!(out, "    {told}");
    }

    /// What a field without members means.
    fn every(&self) -> &'static str {
        match self.field {
            "lists" => "without need of an entry",
            _ => "every one",
        }
    }

    fn moved(&self, up: bool) -> &'static str {
        match (self.field, up) {
            ("effect" | "force", true) => " strengthened",
            ("effect" | "force", false) => " weakened",
            ("active", true) => " activated",
            ("active", false) => " deactivated",
            _ => "",
        }
    }
}

type Versions<'b> = BTreeMap<&'b MeasureId, Vec<&'b Arc<Measure>>>;

fn versions(book: &Book) -> Versions<'_> {
    let mut versions = Versions::new();
    for row in book.measures() {
        versions.entry(&row.id).or_default().push(row);
    }
    versions
}

fn rows(old: &Book, new: &Book) -> Vec<Difference> {
    let (before, after) = (versions(old), versions(new));
    let mut differences = Vec::new();
    for (id, rows) in &before {
        let now = after.get(id).map_or([].as_slice(), Vec::as_slice);
        differences.extend(versions_of(old, new, rows, now));
    }
    for (id, rows) in &after {
        if !before.contains_key(id) {
            differences.extend(versions_of(old, new, &[], rows));
        }
    }
    differences
}

/// The versions of one row: those with the same first day belong together, and what is left in order.
fn versions_of(
    old: &Book,
    new: &Book,
    before: &[&Arc<Measure>],
    after: &[&Arc<Measure>],
) -> Vec<Difference> {
    let mut left: Vec<&Arc<Measure>> = before.to_vec();
    let mut pairs: Vec<(Option<&Arc<Measure>>, usize)> = Vec::new();
    for (at, row) in after.iter().enumerate() {
        let same_day = left
            .iter()
            .position(|other| other.effective_from == row.effective_from);
        pairs.push((same_day.map(|found| left.remove(found)), at));
    }
    for (partner, _) in &mut pairs {
        if partner.is_none() && !left.is_empty() {
            *partner = Some(left.remove(0));
        }
    }
    let mut differences: Vec<Difference> = pairs
        .into_iter()
        .filter_map(|(partner, at)| {
            let row = after.get(at)?;
            let previous = at.checked_sub(1).and_then(|before| after.get(before));
            let followed = after.get(at + 1).is_some();
            match (partner, previous) {
                (Some(was), _) => changed(old, new, was, row, followed),
                (None, Some(previous)) => Some(new_version(new, previous, row)),
                (None, None) => Some(whole(row, Change::Added)),
            }
        })
        .collect();
    differences.extend(left.into_iter().map(|row| {
        let gone = whole(row, Change::Removed);
        if after.is_empty() {
            return gone;
        }
        let from = row
            .effective_from
            .map_or("no day".to_owned(), |day| day.to_string());
        Difference {
            title: format!("{}, the version from {from},", gone.title),
            // The other versions stay, and may say the same.
            bearing: gone.bearing.and(Bearing::Unclear),
            ..gone
        }
    }));
    differences
}

fn of_row(row: &Measure, change: Change, bearing: Bearing) -> Difference {
    Difference {
        about: About::Row,
        id: row.id.to_string(),
        title: row.title.zh.clone(),
        change,
        bearing,
    }
}

/// A row that came or went as a whole; an inactive one bears on nobody.
fn whole(row: &Measure, change: Change) -> Difference {
    let burdens = row.action.direction() == Direction::Penalty;
    let comes = change == Change::Added;
    let bearing = match (row.active, burdens == comes) {
        (false, _) => Bearing::Nothing,
        (true, true) => Bearing::Stricter,
        (true, false) => Bearing::Milder,
    };
    of_row(row, change, bearing)
}

fn changed(
    old: &Book,
    new: &Book,
    was: &Measure,
    is: &Measure,
    followed: bool,
) -> Option<Difference> {
    let mut fields = row_fields(old, new, was, is);
    for field in &mut fields {
        // A version that ends where the next begins takes nothing from anybody.
        if field.field == "effective_to" && followed {
            field.bearing = Bearing::Nothing;
        }
    }
    if fields.is_empty() {
        return None;
    }
    let bearing = bearing_of(&fields, was.active || is.active);
    Some(of_row(is, Change::Changed(fields), bearing))
}

fn new_version(book: &Book, previous: &Measure, row: &Measure) -> Difference {
    let mut fields = row_fields(book, book, previous, row);
    for field in &mut fields {
        // The versions follow each other, so their days are no difference in themselves.
        if matches!(
            field.field,
            "effective_from" | "effective_to" | "published_at"
        ) {
            field.bearing = Bearing::Nothing;
        }
    }
    let bearing = bearing_of(&fields, row.active);
    of_row(row, Change::NewVersion(fields), bearing)
}

fn bearing_of(fields: &[FieldChange], active: bool) -> Bearing {
    if !active {
        return Bearing::Nothing;
    }
    fields
        .iter()
        .fold(Bearing::Nothing, |all, field| all.and(field.bearing))
}

/// The fields in which two rows differ; for a reward, more is milder.
fn row_fields(old: &Book, new: &Book, was: &Measure, is: &Measure) -> Vec<FieldChange> {
    let mut fields = fields(&facets::row(old, was), &facets::row(new, is));
    if is.action.direction() == Direction::Incentive {
        for field in &mut fields {
            field.bearing = field.bearing.turned();
        }
    }
    fields
}

fn fields(was: &[Facet], is: &[Facet]) -> Vec<FieldChange> {
    was.iter()
        .zip(is)
        .filter_map(|(was, is)| Facet::change(was, is))
        .collect()
}

/// What a book holds of one kind, by id, with its name and its facets.
type Held = BTreeMap<String, (String, Vec<Facet>)>;

fn beside((about, held): facets::Kind, old: &Book, new: &Book) -> Vec<Difference> {
    let (before, after) = (held(old), held(new));
    let mut differences = Vec::new();
    let mut tell = |id: &String, title: &String, change: Change, bearing| {
        differences.push(Difference {
            about,
            id: id.clone(),
            title: title.clone(),
            change,
            bearing,
        });
    };
    for (id, (title, was)) in &before {
        match after.get(id) {
            None => tell(id, title, Change::Removed, Bearing::Nothing),
            Some((title, is)) => {
                let fields = fields(was, is);
                if !fields.is_empty() {
                    let bearing = bearing_of(&fields, true);
                    tell(id, title, Change::Changed(fields), bearing);
                }
            }
        }
    }
    for (id, (title, _)) in &after {
        if !before.contains_key(id) {
            tell(id, title, Change::Added, Bearing::Nothing);
        }
    }
    differences
}
