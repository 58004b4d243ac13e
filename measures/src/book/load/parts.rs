//! What a book is composed of: the national files, and what provinces and cities add to them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::source::{
    BookFile, CommitmentSource, CommitmentsFile, MeasureSource, NotExpressedFile,
    NotExpressedSource, SupplementFile,
};
use super::super::{Edition, Item, List, Measure, NotExpressed, Supplement, guards};
use super::{Loader, Place, SourceFile, codes, line, shared};
use crate::book::source::Spanned;
use crate::event::ListCode;
use crate::vocabulary::{Benefit, Class, Direction, Force, Level, SupplementLevel};
use rustc_hash::FxHashMap;

/// The files of one part of a book.
pub(super) struct Part<'f> {
    /// None for the national part.
    pub supplement: Option<Supplement>,
    files: Vec<(&'f str, &'f SourceFile)>,
}

impl<'f> Part<'f> {
    /// The part of this supplement, or the national one, as one row of it needs to know it.
    pub fn of(supplement: Option<Supplement>) -> Self {
        Self {
            supplement,
            files: Vec::new(),
        }
    }

    /// The files of a folder of this part.
    pub fn inside(&self, folder: &'static str) -> impl Iterator<Item = &'f SourceFile> + use<'f> {
        let inside: Vec<_> = self
            .files
            .iter()
            .filter(|(path, _)| {
                path.strip_prefix(folder)
                    .is_some_and(|rest| rest.starts_with('/'))
            })
            .map(|(_, file)| *file)
            .collect();
        inside.into_iter()
    }

    /// The code of the supplement.
    pub fn code(&self) -> Option<Arc<str>> {
        self.supplement
            .as_ref()
            .map(|supplement| Arc::clone(&supplement.code))
    }
}

impl Loader {
    /// The national part, then each supplement whose head can be read.
    pub(super) fn parts<'f>(&mut self, files: &[&'f SourceFile]) -> Vec<Part<'f>> {
        let mut national = Vec::new();
        let mut supplements: BTreeMap<&str, Vec<(&str, &SourceFile)>> = BTreeMap::new();
        for file in files {
            match file
                .path
                .strip_prefix("supplements/")
                .and_then(|rest| rest.split_once('/'))
            {
                Some((folder, inside)) => {
                    supplements.entry(folder).or_default().push((inside, file));
                }
                None => national.push((file.path.as_str(), *file)),
            }
        }
        let mut parts = vec![Part {
            supplement: None,
            files: national,
        }];
        for (folder, files) in supplements {
            let head = files.iter().find(|(path, _)| *path == "supplement.yaml");
            let Some((_, head)) = head else {
                let file = format!("supplements/{folder}/supplement.yaml");
                let place = Place {
                    file: &file,
                    subject: "supplement",
                };
                self.refuse(
                    place,
                    0,
                    "the file is missing",
                    "add it with code, region and the local regulation",
                );
                continue;
            };
            let Some(supplement) = self.supplement(head) else {
                continue;
            };
            if parts
                .iter()
                .any(|part| part.code() == Some(Arc::clone(&supplement.code)))
            {
                let place = Place {
                    file: &head.path,
                    subject: &supplement.code,
                };
                self.refuse(place, 1, "the supplement stands twice", "remove one");
            }
            parts.push(Part {
                supplement: Some(supplement),
                files,
            });
        }
        parts
    }

    fn supplement(&mut self, file: &SourceFile) -> Option<Supplement> {
        let source: SupplementFile = self.parse(file)?;
        let place = Place {
            file: &file.path,
            subject: &source.supplement.value,
        };
        let texts = [
            (
                "title",
                vec![source.title.zh.as_str(), source.title.en.as_str()],
            ),
            ("law", vec![source.basis.value.law.as_str()]),
        ];
        let code = guards::code_broken("code", &source.supplement.value);
        for (rule, mend) in guards::blank(texts).into_iter().chain(code) {
            self.guard(place, line(&source.supplement), rule, mend);
        }
        let level = self.word(
            place,
            "level of supplement",
            &source.level,
            SupplementLevel::parse,
            codes(SupplementLevel::ALL, SupplementLevel::code),
        );
        let region = self.region(place, &source.region);
        let basis = self.basis(place, &source.basis.value);
        let (level, region, basis) = (level?, region?, basis?);
        let carried = basis.level == Level::LocalRegulation
            && basis.region.is_some_and(|inner| inner.contains(region));
        if !carried {
            self.refuse(
                place,
                line(&source.basis),
                "a supplement rests on a local regulation of its own region, and this is none",
                "name the regulation of its people's congress, with `level: local_regulation` and `region`",
            );
        }
        if !level.fits(region) {
            self.refuse(
                place,
                line(&source.region),
                format!("`{region}` is not the region of a {level}"),
                "a province's code ends in 0000, a city's in 00",
            );
        }
        Some(Supplement {
            code: source.supplement.value.as_str().into(),
            title: source.title.clone(),
            level,
            region,
            basis,
            example: source.example,
            effective_from: source.effective_from.as_ref().map(|day| day.0),
            effective_to: source.effective_to.as_ref().map(|day| day.0),
        })
    }

    pub(super) fn load_edition(&mut self, file: &str, head: &BookFile) -> Edition {
        let mut items = BTreeMap::new();
        for item in &head.edition.items {
            let place = Place {
                file,
                subject: &item.code.value,
            };
            let confidence = self.confidence(place, &item.confidence);
            let class = self.word(
                place,
                "class",
                &item.class,
                Class::parse,
                codes(Class::ALL, Class::code),
            );
            let Some(class) = class else { continue };
            let known = Item {
                class,
                title: item.title.clone(),
                confidence,
            };
            if items.insert(item.code.value.clone(), known).is_some() {
                self.refuse(
                    place,
                    line(&item.code),
                    "the item stands twice",
                    "remove one",
                );
            }
        }
        Edition {
            code: head.edition.code.as_str().into(),
            title: head.edition.title.clone(),
            document_no: shared(head.edition.document_no.as_ref()),
            published_at: head.edition.published_at.as_ref().map(|day| day.0),
            effective_from: head.edition.effective_from.as_ref().map(|day| day.0),
            effective_to: head.edition.effective_to.as_ref().map(|day| day.0),
            items,
        }
    }

    pub(super) fn load_not_expressed(&mut self, file: Option<&SourceFile>) -> Vec<NotExpressed> {
        let Some(parsed) = file.and_then(|file| self.parse::<NotExpressedFile>(file)) else {
            return Vec::new();
        };
        let path = file.map_or("", |file| file.path.as_str());
        self.guard_not_expressed(path, &parsed);
        let mut left_out: Vec<NotExpressed> = parsed
            .not_expressed
            .into_iter()
            .map(|source| NotExpressed {
                id: source.value.id.value.as_str().into(),
                title: source.value.title,
                reason: source.value.reason,
            })
            .collect();
        left_out.sort_by(|a, b| a.id.cmp(&b.id));
        left_out
    }

    /// What is left out is named, once, with its reason.
    fn guard_not_expressed(&mut self, file: &str, parsed: &NotExpressedFile) {
        let mut seen = BTreeSet::new();
        for source in &parsed.not_expressed {
            let NotExpressedSource { id, title, reason } = &source.value;
            let place = Place {
                file,
                subject: &id.value,
            };
            let texts = [
                ("id", vec![id.value.as_str()]),
                ("title", vec![title.zh.as_str(), title.en.as_str()]),
                ("reason", vec![reason.zh.as_str(), reason.en.as_str()]),
            ];
            for (rule, mend) in guards::blank(texts) {
                self.guard(place, line(source), rule, mend);
            }
            if !seen.insert(id.value.trim()) {
                self.guard(place, line(source), "it stands twice", "remove one");
            }
            self.left_out
                .push((file.to_owned(), line(source), id.value.clone()));
        }
    }

    /// What is said not to be expressed is not.
    pub(super) fn guard_expressed(
        &mut self,
        lists: &FxHashMap<ListCode, Arc<List>>,
        measures: &[Arc<Measure>],
    ) {
        for (file, line, id) in std::mem::take(&mut self.left_out) {
            let place = Place {
                file: &file,
                subject: &id,
            };
            let known = id.trim();
            if lists.contains_key(known) || measures.iter().any(|row| row.id.as_str() == known) {
                self.guard(
                    place,
                    line,
                    "the book has a row or list of this id, and says that it is not expressed",
                    "remove it, or add to the id which part is left out",
                );
            }
        }
    }

    /// The rows that the commitments of a file become: incentives open to anyone not excluded.
    pub(super) fn commitments(&mut self, file: &SourceFile) -> Vec<(u64, MeasureSource)> {
        let Some(parsed) = self.parse::<CommitmentsFile>(file) else {
            return Vec::new();
        };
        parsed
            .commitments
            .into_iter()
            .map(|spanned| (line(&spanned), row_of(spanned.value)))
            .collect()
    }
}

/// The row that a commitment becomes.
fn row_of(commitment: CommitmentSource) -> MeasureSource {
    let place = commitment.id.clone();
    let word = |text: &str| Spanned {
        value: text.to_owned(),
        ..place.clone()
    };
    MeasureSource {
        direction: word(Direction::Incentive.code()),
        force: word(Force::May.code()),
        effect: word(Benefit::CommitmentAllowed.code()),
        when: Some(word(&format!("event.item_code == {:?}", commitment.matter))),
        required: vec![word("item_code")],
        applies: vec![super::super::source::AppliesSource {
            scenario: commitment.scenario,
            stages: commitment.stages,
        }],
        id: commitment.id,
        title: commitment.title,
        content: commitment.content,
        field: Some(commitment.field),
        varies: None,
        item: None,
        class: None,
        parameters: None,
        excluded_by: commitment.excluded_by,
        lists: Vec::new(),
        lists_of: None,
        severities: Vec::new(),
        kinds: Vec::new(),
        roles: Vec::new(),
        scoped: false,
        extends_to: Vec::new(),
        reaches_party: false,
        region: commitment.region,
        basis: commitment.basis,
        published_at: commitment.published_at,
        published_in: commitment.published_in,
        effective_from: commitment.effective_from,
        effective_to: commitment.effective_to,
        implementer: commitment.implementer,
        remedies: commitment.remedies,
        confidence: commitment.confidence,
        mark: commitment.mark,
        cases: commitment.cases,
    }
}
