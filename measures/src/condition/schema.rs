//! What a condition may name: the fields of the event, the subject and the entry, with their types.

use std::fmt;
use std::sync::Arc;

/// The type of a field as conditions see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Type {
    /// Text, compared by code point.
    String,
    /// A date, held as the text `YYYY-MM-DD`. It compares with other dates, and with literals that are
    /// valid dates; a mistyped date would otherwise compare without ever being noticed.
    Date,
    /// A whole number of 64 bits; amounts are in fen.
    Int,
    /// True or false.
    Bool,
    /// A list of texts.
    StringList,
}

/// One field of a root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// The name as conditions write it.
    pub name: Arc<str>,
    /// Its type.
    pub ty: Type,
    /// Whether a record may lack it; then it is read only behind `has()`.
    pub optional: bool,
}

/// The fields of every root, for one row of the book.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schema {
    /// The fields of `event`.
    pub event: Vec<Field>,
    /// The fields of `subject`.
    pub subject: Vec<Field>,
    /// The fields of `entry`; `None` for a row that needs no entry, whose condition must not name it.
    pub entry: Option<Vec<Field>>,
}

impl Schema {
    /// The fields of `root`, or `None` where the row does not have it.
    pub(super) fn fields(&self, root: Root) -> Option<&[Field]> {
        match root {
            Root::Event => Some(&self.event),
            Root::Subject => Some(&self.subject),
            Root::Entry => self.entry.as_deref(),
        }
    }

    /// The roots that this row has, in the order of the decision.
    pub(super) fn roots(&self) -> impl Iterator<Item = Root> {
        Root::ALL
            .into_iter()
            .filter(|root| self.fields(*root).is_some())
    }
}

/// What the fields belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Root {
    /// What happened.
    Event,
    /// Who is asked about.
    Subject,
    /// The entry of the list that hit.
    Entry,
}

impl Root {
    pub(super) const ALL: [Root; 3] = [Root::Event, Root::Subject, Root::Entry];

    /// The name as conditions write it.
    pub fn name(self) -> &'static str {
        match self {
            Root::Event => "event",
            Root::Subject => "subject",
            Root::Entry => "entry",
        }
    }

    pub(super) fn of(name: &str) -> Option<Root> {
        Root::ALL.into_iter().find(|root| root.name() == name)
    }
}

impl fmt::Display for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The name among `known` that `written` was probably meant to be; the first of several equally near.
pub(super) fn nearest<'k>(
    written: &str,
    known: impl IntoIterator<Item = &'k str>,
) -> Option<&'k str> {
    // A third of the name may be wrong: `evnt` is `event`, but `ab` is not `xy`.
    let allowed = (written.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|name| (distance(written, name), name))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Insertions, deletions, replacements and swaps of neighbours that turn one name into the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    let mut previous_a = None;
    for (row, ca) in a.chars().enumerate() {
        let mut current = Vec::with_capacity(last.len());
        let mut left = row + 1;
        let mut previous_b = None;
        current.push(left);
        for (column, cb) in b.iter().copied().enumerate() {
            let at =
                |row: &[usize], column: usize| row.get(column).copied().unwrap_or(usize::MAX - 1);
            let mut best = (at(&last, column) + usize::from(ca != cb))
                .min(at(&last, column + 1) + 1)
                .min(left + 1);
            if previous_a == Some(cb) && previous_b == Some(ca) {
                best = best.min(at(&before, column.saturating_sub(1)) + 1);
            }
            current.push(best);
            left = best;
            previous_b = Some(cb);
        }
        before = last;
        last = current;
        previous_a = Some(ca);
    }
    last.last().copied().unwrap_or(0)
}
