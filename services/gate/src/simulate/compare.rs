//! What a verdict tells, in a form in which a recorded one and a new one can be compared.
//!
//! Compared are outcomes, effects, proposals, reviews and result codes of event, parties and
//! subjects, and the rows with what they contribute and their figures. Rows under `also` are display
//! only, and flags explain: neither makes a verdict a different one.

use creditgate_measures::book::Measure;
use creditgate_measures::verdict::{Contribution, Decision, EntryHit, Verdict};
use creditgate_measures::vocabulary::{Effect, Outcome, SubjectKind};
use creditgate_proto::v1;

/// What a verdict tells. Borrowed from it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Told<'a> {
    pub decision: Stand,
    parties: Vec<Stand>,
    pub subjects: Vec<SubjectTold<'a>>,
}

/// How an event, a party or a subject stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stand {
    pub outcome: Outcome,
    pub effect: Option<Effect>,
    pub review: bool,
    pub proposed: Option<Effect>,
    result_code: u32,
}

/// What is told of a subject.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SubjectTold<'a> {
    pub stand: Stand,
    pub kind: Option<SubjectKind>,
    /// By row, then entry.
    rows: Vec<RowTold<'a>>,
}

/// A row that matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct RowTold<'a> {
    row: &'a str,
    entry: &'a str,
    told: Standing<'a>,
}

/// How a row counts, and with which figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Standing<'a> {
    counts: Counts,
    figures: Figures<'a>,
}

/// The figures of a row; a row that has none is one whose figures are all absent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Figures<'a> {
    ratio: Option<&'a str>,
    points: Option<i64>,
    percent: Option<i64>,
    cap_fen: Option<i64>,
    period: Option<&'a str>,
}

/// How a row counts for a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Counts {
    Effect(Effect),
    Proposed(Effect),
    Offered,
    Withheld,
}

/// How much is different.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Nothing,
    /// The outcome of the event, of a party or of a subject.
    Outcome,
    /// All outcomes stay.
    Measures,
}

/// A row that is different for a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RowChange<'a> {
    pub subject: usize,
    pub row: &'a str,
    pub entry: &'a str,
    pub old: Option<Standing<'a>>,
    pub new: Option<Standing<'a>>,
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Effect(effect) => write!(f, "effect {effect}"),
            Self::Proposed(effect) => write!(f, "proposed {effect}"),
            Self::Offered => f.write_str("offered"),
            Self::Withheld => f.write_str("withheld"),
        }
    }
}

impl std::fmt::Display for Standing<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { counts, figures } = self;
        write!(f, "{counts}{figures}")
    }
}

impl std::fmt::Display for Figures<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(ratio) = self.ratio {
            write!(f, " ratio={ratio}")?;
        }
        for (name, figure) in [
            ("points", self.points),
            ("percent", self.percent),
            ("cap_fen", self.cap_fen),
        ] {
            if let Some(figure) = figure {
                write!(f, " {name}={figure}")?;
            }
        }
        if let Some(period) = self.period {
            write!(f, " period={period}")?;
        }
        Ok(())
    }
}

impl<'a> Figures<'a> {
    fn of(measure: &'a Measure) -> Self {
        measure
            .parameters
            .as_ref()
            .map_or_else(Self::default, |p| Self {
                ratio: p.ratio.as_deref(),
                points: p.points,
                percent: p.percent,
                cap_fen: p.cap_fen,
                period: p.period.as_deref(),
            })
    }

    fn recorded(measure: &'a v1::Measure) -> Self {
        measure
            .parameters
            .as_ref()
            .map_or_else(Self::default, |p| Self {
                ratio: p.ratio.as_deref(),
                points: p.points,
                percent: p.percent,
                cap_fen: p.cap_fen,
                period: p.period.as_deref(),
            })
    }
}

impl Stand {
    fn of(decision: &Decision) -> Self {
        Self {
            outcome: decision.outcome(),
            effect: decision.effect,
            review: decision.review,
            proposed: decision.proposed,
            result_code: u32::from(decision.result_code),
        }
    }

    /// `None` for words that this version does not know.
    fn recorded(
        outcome: &str,
        effect: Option<&str>,
        review: bool,
        proposed: Option<&str>,
        result_code: u32,
    ) -> Option<Self> {
        Some(Self {
            outcome: Outcome::parse(outcome)?,
            effect: optional(effect)?,
            review,
            proposed: optional(proposed)?,
            result_code,
        })
    }

    /// Whether this limits more than the other: a stronger effect or proposal, or a review.
    pub(crate) fn limits_more_than(&self, old: &Self) -> bool {
        self.effect > old.effect || self.proposed > old.proposed || (self.review && !old.review)
    }

    /// As a message.
    pub(crate) fn to_proto(self) -> v1::Standing {
        let code = |effect: Option<Effect>| effect.map_or("", Effect::code).to_owned();
        v1::Standing {
            outcome: self.outcome.code().to_owned(),
            effect: code(self.effect),
            review: self.review,
            proposed: code(self.proposed),
        }
    }
}

fn optional(code: Option<&str>) -> Option<Option<Effect>> {
    match code {
        None => Some(None),
        Some(code) => Effect::parse(code).map(Some),
    }
}

impl<'a> Told<'a> {
    pub(crate) fn by(verdict: &'a Verdict) -> Self {
        let subjects = verdict.subjects.iter().map(|subject| {
            let penalties = subject.triggered.iter().map(|triggered| {
                let counts = match triggered.contributes {
                    Contribution::Effect => Counts::Effect(triggered.effect),
                    Contribution::Proposed => Counts::Proposed(triggered.effect),
                };
                RowTold::by(&triggered.measure, triggered.entry.as_ref(), counts)
            });
            let incentives = [
                (&subject.offered, Counts::Offered),
                (&subject.withheld, Counts::Withheld),
            ];
            let incentives = incentives.into_iter().flat_map(|(incentives, counts)| {
                incentives.iter().map(move |incentive| {
                    RowTold::by(&incentive.measure, incentive.entry.as_ref(), counts)
                })
            });
            SubjectTold {
                stand: Stand::of(&subject.decision),
                kind: subject.kind,
                rows: sorted(penalties.chain(incentives)),
            }
        });
        Self {
            decision: Stand::of(&verdict.decision),
            parties: verdict
                .parties
                .iter()
                .map(|party| Stand::of(&party.decision))
                .collect(),
            subjects: subjects.collect(),
        }
    }

    /// What a recorded verdict tells; `None` when it holds words that this version does not know.
    pub(crate) fn recorded(verdict: &'a v1::Verdict) -> Option<Self> {
        let subject = |subject: &'a v1::SubjectVerdict| {
            let penalties = subject.triggered.iter().map(|triggered| {
                let effect = Effect::parse(&triggered.effect)?;
                let counts = match triggered.contributes.as_str() {
                    "effect" => Counts::Effect(effect),
                    "proposed" => Counts::Proposed(effect),
                    _ => return None,
                };
                RowTold::recorded(triggered.measure.as_ref(), triggered.entry.as_ref(), counts)
            });
            let incentives = [
                (&subject.offered, Counts::Offered),
                (&subject.withheld, Counts::Withheld),
            ];
            let incentives = incentives.into_iter().flat_map(|(incentives, counts)| {
                incentives.iter().map(move |incentive| {
                    let entry = incentive.entry.as_ref();
                    RowTold::recorded(incentive.measure.as_ref(), entry, counts)
                })
            });
            let rows: Option<Vec<RowTold<'a>>> = penalties.chain(incentives).collect();
            let kind = match subject.kind.as_deref() {
                None => None,
                Some(kind) => Some(SubjectKind::parse(kind)?),
            };
            Some(SubjectTold {
                stand: Stand::recorded(
                    &subject.outcome,
                    subject.effect.as_deref(),
                    subject.review,
                    subject.proposed.as_deref(),
                    subject.result_code,
                )?,
                kind,
                rows: sorted(rows?.into_iter()),
            })
        };
        let party = |party: &v1::PartyVerdict| {
            Stand::recorded(
                &party.outcome,
                party.effect.as_deref(),
                party.review,
                party.proposed.as_deref(),
                party.result_code,
            )
        };
        Some(Self {
            decision: Stand::recorded(
                &verdict.outcome,
                verdict.effect.as_deref(),
                verdict.review,
                verdict.proposed.as_deref(),
                verdict.result_code,
            )?,
            parties: verdict.parties.iter().map(party).collect::<Option<_>>()?,
            subjects: verdict
                .subjects
                .iter()
                .map(subject)
                .collect::<Option<_>>()?,
        })
    }

    /// How much is different in the other, a later verdict on the same event.
    pub(crate) fn change_to(&self, new: &Told<'_>) -> Change {
        if self == new {
            return Change::Nothing;
        }
        let outcomes = |told: &Told<'_>| -> Vec<Outcome> {
            let parties = told.parties.iter().map(|party| party.outcome);
            let subjects = told.subjects.iter().map(|subject| subject.stand.outcome);
            std::iter::once(told.decision.outcome)
                .chain(parties)
                .chain(subjects)
                .collect()
        };
        if outcomes(self) != outcomes(new) {
            return Change::Outcome;
        }
        Change::Measures
    }

    /// The rows that are different in the other, by subject, row and entry.
    pub(crate) fn row_changes<'b>(&'b self, new: &'b Told<'_>) -> Vec<RowChange<'b>> {
        let mut changes = Vec::new();
        for (subject, (old, new)) in self.subjects.iter().zip(&new.subjects).enumerate() {
            merge(subject, &old.rows, &new.rows, &mut changes);
        }
        changes
    }
}

/// Goes through both lists in their common order.
fn merge<'b>(
    subject: usize,
    old: &'b [RowTold<'_>],
    new: &'b [RowTold<'_>],
    into: &mut Vec<RowChange<'b>>,
) {
    let (mut old_rows, mut new_rows) = (old.iter().peekable(), new.iter().peekable());
    loop {
        let key = |told: &&'b RowTold<'_>| (told.row, told.entry);
        let order = match (old_rows.peek(), new_rows.peek()) {
            (None, None) => return,
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some(old), Some(new)) => key(old).cmp(&key(new)),
        };
        let before = if order.is_le() { old_rows.next() } else { None };
        let after = if order.is_ge() { new_rows.next() } else { None };
        let (old, new) = (before.map(|b| b.told), after.map(|a| a.told));
        if old == new {
            continue;
        }
        if let Some(told) = before.or(after) {
            into.push(RowChange {
                subject,
                row: told.row,
                entry: told.entry,
                old,
                new,
            });
        }
    }
}

impl RowChange<'_> {
    /// As a message.
    pub(crate) fn to_proto(self) -> v1::RowChange {
        let text = |told: Option<Standing<'_>>| told.map(|t| t.to_string()).unwrap_or_default();
        v1::RowChange {
            subject: u32::try_from(self.subject).unwrap_or(u32::MAX),
            row: self.row.to_owned(),
            entry_id: self.entry.to_owned(),
            old: text(self.old),
            new: text(self.new),
        }
    }
}

fn sorted<'a>(rows: impl Iterator<Item = RowTold<'a>>) -> Vec<RowTold<'a>> {
    let mut rows: Vec<_> = rows.collect();
    rows.sort_unstable();
    rows
}

impl<'a> RowTold<'a> {
    fn by(measure: &'a Measure, entry: Option<&'a EntryHit>, counts: Counts) -> Self {
        Self {
            row: measure.id.as_str(),
            entry: entry.map_or("", |entry| entry.entry_id.as_str()),
            told: Standing {
                counts,
                figures: Figures::of(measure),
            },
        }
    }

    fn recorded(
        measure: Option<&'a v1::Measure>,
        entry: Option<&'a v1::EntryHit>,
        counts: Counts,
    ) -> Option<Self> {
        let measure = measure?;
        Some(Self {
            row: &measure.id,
            entry: entry.map_or("", |entry| &entry.entry_id),
            told: Standing {
                counts,
                figures: Figures::recorded(measure),
            },
        })
    }
}
