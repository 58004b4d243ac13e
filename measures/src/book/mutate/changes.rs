//! Every small change of a row, one field at a time.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::book::source::Spanned;

use super::super::source::{AppliesSource, BasisSource, MeasureSource, Text};
use super::super::{ANY_FIELD, Book, Measure};
use super::integers;
use crate::event::Region;
use crate::time::Date;
use crate::time::text::DateText;
use crate::vocabulary::{
    Benefit, Class, Colour, Confidence, Direction, Effect, Force, Level, Role, Severity,
    SubjectKind,
};

/// A text that stands in no row.
const OTHER_TEXT: &str = "另文";
/// An end for rows that have none: before the day on which cases take place unless they say so.
const LAST_DAY: &str = "2026-05-31";
/// Regions of which one is always apart from that of a row.
const OTHER_REGIONS: [&str; 3] = ["330100", "440300", "120000"];

/// One changed row: which field, how, and the whole row as it then reads.
pub(super) struct Change {
    pub field: &'static str,
    pub how: String,
    pub source: MeasureSource,
}

/// Every change of one field of the row, in the order of the fields.
pub(super) fn of(source: &MeasureSource, book: &Book) -> Vec<Change> {
    let mut changes = Changes {
        source,
        book,
        made: Vec::new(),
    };
    changes.texts();
    changes.what_it_does();
    changes.parameters();
    changes.excluded_by();
    changes.applies();
    changes.lists();
    changes.words();
    changes.switches();
    changes.region();
    changes.condition();
    changes.bases();
    changes.dates();
    changes.made
}

struct Changes<'a> {
    source: &'a MeasureSource,
    book: &'a Book,
    made: Vec<Change>,
}

impl Changes<'_> {
    fn add(
        &mut self,
        field: &'static str,
        how: impl Into<String>,
        change: impl FnOnce(&mut MeasureSource),
    ) {
        let mut source = self.source.clone();
        change(&mut source);
        self.made.push(Change {
            field,
            how: how.into(),
            source,
        });
    }

    fn texts(&mut self) {
        self.add("title", "other text", |row| row.title = other());
        self.add("content", "other text", |row| row.content = other());
        self.add("implementer", "other text", |row| row.implementer = other());
        self.add("remedies", "other text", |row| row.remedies = other());
    }

    fn what_it_does(&mut self) {
        let row = self.source;
        let direction = Direction::parse(&row.direction.value);
        for other in Direction::ALL.iter().map(|d| d.code()) {
            self.reword("direction", &row.direction.value, other, |row| {
                &mut row.direction.value
            });
        }
        if let Some(item) = &row.item {
            let items = &self.book.edition().items;
            let class = |item: &str| items.get(item).map(|item| item.class);
            let others = || items.keys().filter(|other| **other != item.value);
            // One of the same class: no guard sees the difference.
            let alike = others().find(|other| class(other) == class(&item.value));
            if let Some(other) = alike.or_else(|| others().next()) {
                self.reword("item", &item.value, other, |row| {
                    row.item
                        .as_mut()
                        .map_or(&mut row.id.value, |i| &mut i.value)
                });
            }
            self.add("item", format!("{} removed", item.value), |row| {
                row.item = None;
            });
        }
        if let Some(class) = &row.class {
            for other in Class::ALL.iter().map(|c| c.code()) {
                self.reword("class", &class.value, other, |row| {
                    row.class
                        .as_mut()
                        .map_or(&mut row.id.value, |c| &mut c.value)
                });
            }
            self.add("class", format!("{} removed", class.value), |row| {
                row.class = None;
            });
        }
        if let Some(field) = &row.field {
            let fields: BTreeSet<&str> = self.book.lists().iter().map(|l| &*l.field).collect();
            if let Some(other) = fields.into_iter().find(|other| *other != field.value) {
                self.reword("field", &field.value, other, |row| {
                    row.field
                        .as_mut()
                        .map_or(&mut row.id.value, |f| &mut f.value)
                });
            }
        }
        if let Some(varied) = &row.varies {
            self.add("varies", format!("{} removed", varied.value), |row| {
                row.varies = None;
            });
        }
        self.varies();
        for other in Force::ALL.iter().map(|f| f.code()) {
            self.reword("force", &row.force.value, other, |row| &mut row.force.value);
        }
        let effects: Vec<&str> = match direction {
            Some(Direction::Incentive) => Benefit::ALL.iter().map(|b| b.code()).collect(),
            _ => Effect::ALL.iter().map(|e| e.code()).collect(),
        };
        for other in effects {
            self.reword("effect", &row.effect.value, other, |row| {
                &mut row.effect.value
            });
        }
        for other in Confidence::ALL.iter().map(|c| c.code()) {
            self.reword("confidence", &row.confidence.value, other, |row| {
                &mut row.confidence.value
            });
        }
    }

    /// Another row is said to be the one that this is the local form of.
    fn varies(&mut self) {
        let row = self.source;
        let own = row.varies.as_ref().map(|varied| varied.value.as_str());
        let national = |other: &&Arc<Measure>| other.supplement.is_none();
        let mut others = self.book.measures().iter().filter(national);
        let other = others.find(|other| {
            let id = other.id.as_str();
            id != row.id.value && Some(id) != own
        });
        let Some(other) = other.map(|other| other.id.as_str()) else {
            return;
        };
        self.add(
            "varies",
            format!("{} → {other}", own.unwrap_or("none")),
            |row| {
                row.varies = Some(spanned(other, &row.id));
            },
        );
    }

    /// Another word in the place of one.
    fn reword(
        &mut self,
        field: &'static str,
        own: &str,
        other: &str,
        place: impl FnOnce(&mut MeasureSource) -> &mut String,
    ) {
        if own != other {
            self.add(field, format!("{own} → {other}"), |row| {
                other.clone_into(place(row));
            });
        }
    }

    fn parameters(&mut self) {
        let Some(written) = &self.source.parameters else {
            return;
        };
        self.add("parameters", "all dropped", |row| row.parameters = None);
        let mut figure =
            |name: &str, there: bool, change: fn(&mut super::ParametersSource, bool)| {
                if !there {
                    return;
                }
                for (remove, word) in [(false, "changed"), (true, "removed")] {
                    self.add("parameters", format!("{name} {word}"), |row| {
                        row.parameters.iter_mut().for_each(|p| change(p, remove));
                    });
                }
            };
        figure("ratio", written.ratio.is_some(), |p, remove| {
            p.ratio = (!remove).then(|| "0.123".to_owned());
        });
        figure("points", written.points.is_some(), |p, remove| {
            p.points = p.points.map(|n| n.saturating_add(1)).filter(|_| !remove);
        });
        figure("percent", written.percent.is_some(), |p, remove| {
            p.percent = p.percent.map(|n| n.saturating_add(1)).filter(|_| !remove);
        });
        figure("cap_fen", written.cap_fen.is_some(), |p, remove| {
            p.cap_fen = p.cap_fen.map(|n| n.saturating_add(1)).filter(|_| !remove);
        });
        figure("period", written.period.is_some(), |p, remove| {
            p.period = (!remove).then(|| OTHER_TEXT.to_owned());
        });
    }

    fn excluded_by(&mut self) {
        for (at, excluding) in self.source.excluded_by.iter().enumerate() {
            self.add(
                "excluded_by",
                format!("{} removed", excluding.list.value),
                |row| drop(row.excluded_by.remove(at)),
            );
        }
    }

    fn applies(&mut self) {
        let book = self.book;
        for (at, applies) in self.source.applies.iter().enumerate() {
            let scenario = &applies.scenario.value;
            self.add("applies", format!("{scenario} removed"), |row| {
                row.applies.remove(at);
            });
            let mut change = |how: String, change: &dyn Fn(&mut AppliesSource)| {
                self.add("applies", format!("{scenario}: {how}"), |row| {
                    row.applies.get_mut(at).into_iter().for_each(change);
                });
            };
            for (place, stage) in applies.stages.iter().enumerate() {
                change(format!("{} removed", stage.value), &|applies| {
                    applies.stages.remove(place);
                });
            }
            let (Some(known), Some(first)) = (book.scenario(scenario), applies.stages.first())
            else {
                continue;
            };
            change("every stage".to_owned(), &|applies| {
                let more = known.stages.iter().map(|s| s.code.as_str());
                widen(&mut applies.stages, more, first);
            });
        }
    }

    fn lists(&mut self) {
        let row = self.source;
        for (at, list) in row.lists.iter().enumerate() {
            self.add("lists", format!("{} removed", list.value), |row| {
                row.lists.remove(at);
            });
        }
        let lists = self.book.lists();
        if let Some(first) = row.lists.first() {
            for colour in Colour::ALL {
                let named = |code: &str| row.lists.iter().any(|own| own.value == code);
                let same: Vec<&str> = lists
                    .iter()
                    .filter(|list| list.colour == *colour)
                    .map(|list| list.code.as_str())
                    .collect();
                if same.iter().any(|code| named(code)) {
                    self.add("lists", format!("every {colour} list"), |row| {
                        widen(&mut row.lists, same.into_iter(), first);
                    });
                }
            }
        }
        let Some(by_colour) = &row.lists_of else {
            return;
        };
        let own = &by_colour.value.colour.value;
        for other in Colour::ALL.iter().map(|c| c.code()).filter(|c| c != own) {
            self.add("lists_of", format!("{own} → {other}"), |row| {
                row.lists_of
                    .iter_mut()
                    .for_each(|by| other.clone_into(&mut by.value.colour.value));
            });
        }
        if let Some(field) = &by_colour.value.field {
            self.add("lists_of", format!("field {field} removed"), |row| {
                row.lists_of.iter_mut().for_each(|by| by.value.field = None);
            });
        }
    }

    /// The fields that are sets of words: severities, kinds, roles, relations, required attributes.
    fn words(&mut self) {
        let row = self.source;
        self.set("severities", |row| &mut row.severities, &row.severities);
        if row.severities.is_empty() {
            self.restrict("severities", Severity::Minor.code(), |row| {
                &mut row.severities
            });
        }
        self.set("kinds", |row| &mut row.kinds, &row.kinds);
        if row.kinds.is_empty() {
            // Cases speak of an enterprise unless they say otherwise.
            let other = SubjectKind::ALL
                .iter()
                .find(|kind| **kind != SubjectKind::Enterprise);
            if let Some(kind) = other {
                self.restrict("kinds", kind.code(), |row| &mut row.kinds);
            }
        }
        self.set("roles", |row| &mut row.roles, &row.roles);
        for (at, relation) in row.extends_to.iter().enumerate() {
            self.add("extends_to", format!("{} removed", relation.value), |row| {
                row.extends_to.remove(at);
            });
        }
        let missing = Role::ALL.iter().find(|role| {
            role.is_relation() && !row.extends_to.iter().any(|own| own.value == role.code())
        });
        if let Some(relation) = missing {
            self.add("extends_to", format!("{relation} added"), |row| {
                let added = spanned(relation.code(), &row.id);
                row.extends_to.push(added);
            });
        }
        for (at, name) in row.required.iter().enumerate() {
            self.add("required", format!("{} removed", name.value), |row| {
                row.required.remove(at);
            });
        }
    }

    /// Each word removed, and all of them.
    fn set(
        &mut self,
        field: &'static str,
        place: fn(&mut MeasureSource) -> &mut Vec<Spanned<String>>,
        written: &[Spanned<String>],
    ) {
        if !written.is_empty() {
            self.add(field, "all dropped", |row| place(row).clear());
        }
        for (at, word) in written.iter().enumerate() {
            self.add(field, format!("{} removed", word.value), |row| {
                place(row).remove(at);
            });
        }
    }

    /// A field that asks for nothing asks for one word.
    fn restrict(
        &mut self,
        field: &'static str,
        word: &'static str,
        place: fn(&mut MeasureSource) -> &mut Vec<Spanned<String>>,
    ) {
        self.add(field, format!("only {word}"), |row| {
            let only = spanned(word, &row.id);
            place(row).push(only);
        });
    }

    fn switches(&mut self) {
        let row = self.source;
        let toggled = |was: bool| format!("{was} → {}", !was);
        self.add("scoped", toggled(row.scoped), |row| {
            row.scoped = !row.scoped;
        });
        self.add("reaches_party", toggled(row.reaches_party), |row| {
            row.reaches_party = !row.reaches_party;
        });
    }

    fn region(&mut self) {
        let Some(own) = &self.source.region else {
            return;
        };
        self.add("region", format!("{} removed", own.value), |row| {
            row.region = None;
        });
        let other = other_region(&own.value);
        self.add("region", format!("{} → {other}", own.value), |row| {
            row.region
                .iter_mut()
                .for_each(|region| other.clone_into(&mut region.value));
        });
    }

    fn condition(&mut self) {
        let Some(when) = &self.source.when else {
            return;
        };
        self.add("when", "removed", |row| row.when = None);
        let mut write = |how: String, text: String| {
            self.add("when", how, |row| {
                row.when.iter_mut().for_each(|w| w.value.clone_from(&text));
            });
        };
        write("negated".to_owned(), format!("!({})", when.value));
        for place in integers::in_condition(&when.value) {
            let Some(own) = when.value.get(place.clone()) else {
                continue;
            };
            let Ok(number) = own.parse::<i64>() else {
                continue;
            };
            for other in [number.saturating_sub(1), number.saturating_add(1)] {
                let mut text = when.value.clone();
                text.replace_range(place.clone(), &other.to_string());
                write(format!("{own} → {other}"), text);
            }
        }
    }

    fn bases(&mut self) {
        for (at, basis) in self.source.basis.iter().enumerate() {
            let law = &basis.value.law;
            let which = |what: &str| format!("{law}: {what}");
            self.add("basis", which("removed"), |row| {
                row.basis.remove(at);
            });
            let mut change = |what: &str, change: &dyn Fn(&mut BasisSource)| {
                self.add("basis", which(what), |row| {
                    row.basis
                        .iter_mut()
                        .skip(at)
                        .take(1)
                        .for_each(|basis| change(&mut basis.value));
                });
            };
            change("law changed", &|basis| {
                OTHER_TEXT.clone_into(&mut basis.law)
            });
            if basis.value.article.is_some() {
                change("article changed", &|basis| {
                    basis.article = Some(OTHER_TEXT.to_owned());
                });
            }
            if basis.value.document_no.is_some() {
                change("document_no changed", &|basis| {
                    basis.document_no = Some(OTHER_TEXT.to_owned());
                });
            }
            let level = other_level(&basis.value.level.value);
            change(
                &format!("{} → {level}", basis.value.level.value),
                &|basis| {
                    level.code().clone_into(&mut basis.level.value);
                },
            );
            if let Some(region) = &basis.value.region {
                let other = other_region(&region.value);
                change(&format!("{} → {other}", region.value), &|basis| {
                    basis
                        .region
                        .iter_mut()
                        .for_each(|region| other.clone_into(&mut region.value));
                });
            }
            for (place, field) in basis.value.reaches.iter().enumerate() {
                let field = &field.value;
                change(&format!("reaches {field} removed"), &|basis| {
                    basis.reaches.remove(place);
                });
                if field != ANY_FIELD {
                    change(&format!("reaches {field} → {ANY_FIELD}"), &|basis| {
                        let reached = basis.reaches.iter_mut().skip(place).take(1);
                        reached.for_each(|field| ANY_FIELD.clone_into(&mut field.value));
                    });
                }
            }
        }
    }

    fn dates(&mut self) {
        let row = self.source;
        self.moved("published_at", &[1], &row.published_at, |row| {
            &mut row.published_at
        });
        if row.published_in.is_some() {
            self.add("published_in", "other text", |row| {
                row.published_in = Some(OTHER_TEXT.to_owned());
            });
        }
        self.moved("effective_from", &[-1, 1], &row.effective_from, |row| {
            &mut row.effective_from
        });
        self.moved("effective_to", &[-1, 1], &row.effective_to, |row| {
            &mut row.effective_to
        });
        if row.effective_to.is_some() {
            self.add("effective_to", "removed", |row| row.effective_to = None);
        } else if let Ok(last) = Date::parse(LAST_DAY) {
            self.add("effective_to", format!("none → {last}"), |row| {
                let end = DateText(last);
                row.effective_to = Some(Spanned::new(end, row.id.referenced, row.id.defined));
            });
        }
    }

    fn moved(
        &mut self,
        field: &'static str,
        by: &[i32],
        written: &Option<Spanned<DateText>>,
        place: fn(&mut MeasureSource) -> &mut Option<Spanned<DateText>>,
    ) {
        let Some(own) = written else { return };
        for days in by {
            let other = own.value.0.plus_days(*days);
            self.add(field, format!("{} → {other}", own.value.0), |row| {
                place(row)
                    .iter_mut()
                    .for_each(|day| day.value = DateText(other));
            });
        }
    }
}

fn other() -> Text {
    Text {
        zh: OTHER_TEXT.to_owned(),
        en: "other text".to_owned(),
    }
}

fn spanned<T>(word: &str, beside: &Spanned<T>) -> Spanned<String> {
    Spanned::new(word.to_owned(), beside.referenced, beside.defined)
}

/// Adds the words that are not there yet.
fn widen<'w>(
    words: &mut Vec<Spanned<String>>,
    more: impl Iterator<Item = &'w str>,
    beside: &Spanned<String>,
) {
    for word in more {
        if !words.iter().any(|own| own.value == word) {
            words.push(spanned(word, beside));
        }
    }
}

/// A region that neither holds this one nor lies in it.
fn other_region(own: &str) -> &'static str {
    let [first, ..] = OTHER_REGIONS;
    let Some(own) = Region::parse(own) else {
        return first;
    };
    let apart = |code: &&str| {
        Region::parse(code).is_some_and(|other| !own.contains(other) && !other.contains(own))
    };
    OTHER_REGIONS
        .into_iter()
        .find(|code| apart(code))
        .unwrap_or(first)
}

/// The next level; not a local regulation, which the form itself would refuse without a region.
fn other_level(own: &str) -> Level {
    let levels = || Level::ALL.iter().filter(|l| **l != Level::LocalRegulation);
    let after = levels().skip_while(|level| level.code() != own).nth(1);
    let first = levels().find(|level| level.code() != own);
    after.or(first).copied().unwrap_or(Level::Law)
}
