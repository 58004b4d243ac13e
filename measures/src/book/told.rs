//! What a row tells when it is triggered or offered, as one text: the cases of a row compare
//! fragments of it, so that law, figures and dates are keyed in twice.

use std::fmt::Write as _;

use super::source::ParametersSource;
use super::{Basis, Measure};

impl Measure {
    /// The row in its own words: a line for each thing that a verdict or the published table says
    /// of it, in Chinese where there is both.
    #[must_use]
    pub fn told(&self) -> String {
        let mut text = String::new();
        let mut line = |told: &str| {
            text.push_str(told);
            text.push('\n');
        };
        line(self.id.as_str());
        line(&self.title.zh);
        line(&self.content.zh);
        line(&self.field);
        line(self.action.direction().code());
        line(self.item.as_deref().unwrap_or("-"));
        line(self.class.map_or("-", |class| class.code()));
        line(self.force.code());
        line(self.action.code());
        for figure in self.parameters.iter().flat_map(ParametersSource::told) {
            line(&figure);
        }
        for basis in &self.bases {
            line(&basis.told());
        }
        for (list, basis) in &self.excluded_by {
            line(&format!("excluded_by {list} {}", basis.told()));
        }
        let days = [
            ("published_at", self.published_at),
            ("effective_from", self.effective_from),
            ("effective_to", self.effective_to),
        ];
        for (name, day) in days {
            if let Some(day) = day {
                line(&format!("{name} {day}"));
            }
        }
        if let Some(place) = &self.published_in {
            line(&format!("published_in {place}"));
        }
        line(&self.implementer.zh);
        line(&self.remedies.zh);
        line(self.confidence.code());
        text
    }
}

impl Basis {
    /// As tables and notices cite it: 《law》（number）article.
    #[must_use]
    pub fn cited(&self) -> String {
        let number = self
            .document_no
            .as_ref()
            .map_or(String::new(), |number| format!("（{number}）"));
        let article = self.article.as_deref().unwrap_or_default();
        format!("《{}》{number}{article}", self.law)
    }

    /// Law, article, number, level, issuer, region and the fields it reaches, as far as stated.
    #[must_use]
    pub fn told(&self) -> String {
        let mut text = self.law.to_string();
        let mut add = |part: &str| {
            text.push(' ');
            text.push_str(part);
        };
        if let Some(article) = &self.article {
            add(article);
        }
        if let Some(number) = &self.document_no {
            add(number);
        }
        add(self.level.code());
        if let Some(issuer) = &self.issuer {
            add(issuer);
        }
        if let Some(region) = self.region {
            let _ = write!(text, " {region}");
        }
        for field in &self.reaches {
            let _ = write!(text, " reaches {field}");
        }
        text
    }
}

impl ParametersSource {
    /// Each figure as `name=value`.
    pub fn told(&self) -> impl Iterator<Item = String> + use<> {
        [
            self.ratio.as_ref().map(|ratio| format!("ratio={ratio}")),
            self.points.map(|points| format!("points={points}")),
            self.percent.map(|percent| format!("percent={percent}")),
            self.cap_fen.map(|cap| format!("cap_fen={cap}")),
            self.period
                .as_ref()
                .map(|period| format!("period={period}")),
        ]
        .into_iter()
        .flatten()
    }
}
