//! Templates of notices.

use super::super::guards;
use super::super::source::{NoticeSource, NoticesFile};
use super::{Loader, Place, SourceFile, codes, line};
use crate::book::source::Spanned;
use crate::clocks::notice::{Notice, Occasion, Placeholder, TemplateError, pieces};
use std::sync::Arc;

impl Loader {
    pub(super) fn load_notices<'f>(
        &mut self,
        files: impl Iterator<Item = &'f SourceFile>,
    ) -> Vec<Notice> {
        let mut notices: Vec<Notice> = Vec::new();
        let mut together = Vec::new();
        for file in files {
            let Some(parsed) = self.parse::<NoticesFile>(file) else {
                continue;
            };
            for spanned in parsed.notices {
                let id = spanned.value.id.value.clone();
                let place = Place {
                    file: &file.path,
                    subject: &id,
                };
                let Some(notice) = self.notice(place, &spanned) else {
                    continue;
                };
                if notices.iter().any(|other| other.id == notice.id) {
                    self.refuse(
                        place,
                        line(&spanned),
                        "the notice stands twice",
                        "remove one",
                    );
                }
                for (rule, mend) in guards::notice_broken(&notice, &notices) {
                    self.guard(place, line(&spanned), rule, mend);
                }
                notices.push(notice);
                together.extend(
                    spanned
                        .value
                        .together_with
                        .into_iter()
                        .map(|other| (file.path.clone(), id.clone(), other)),
                );
            }
        }
        for (file, id, other) in together {
            if other.value == id || !notices.iter().any(|notice| *notice.id == *other.value) {
                let place = Place {
                    file: &file,
                    subject: &id,
                };
                self.guard(
                    place,
                    line(&other),
                    format!("`{}` is no other notice of the book", other.value),
                    "name one in `together_with`, or remove it",
                );
            }
        }
        notices.sort_by(|a, b| a.id.cmp(&b.id));
        notices
    }

    fn notice(&mut self, place: Place<'_>, spanned: &Spanned<NoticeSource>) -> Option<Notice> {
        let source = &spanned.value;
        let when = self.word(
            place,
            "occasion of a notice",
            &source.when,
            Occasion::parse,
            codes(Occasion::ALL, Occasion::code),
        );
        let bases = self.bases(place, &source.basis);
        let confidence = self.confidence(place, &source.confidence);
        let pieces = match pieces(&source.text.value) {
            Ok(pieces) => Some(pieces),
            Err(TemplateError::Unknown(name)) => {
                let known: Vec<_> = codes(Placeholder::ALL, Placeholder::code).collect();
                self.refuse(
                    place,
                    line(&source.text),
                    format!("unknown placeholder `{}`", name.escape_debug()),
                    format!("write one of {}", known.join(", ")),
                );
                None
            }
            Err(TemplateError::Unbalanced) => {
                self.refuse(
                    place,
                    line(&source.text),
                    "a brace of the text has no other",
                    "write placeholders as `{subject}`, and no other braces",
                );
                None
            }
        };
        Some(Notice {
            id: source.id.value.as_str().into(),
            title: source.title.clone(),
            when: when?,
            together_with: source
                .together_with
                .iter()
                .map(|id| Arc::from(id.value.as_str()))
                .collect(),
            proves_service: source.proves_service,
            text: source.text.value.as_str().into(),
            bases,
            confidence,
            pieces: pieces?,
        })
    }
}
