//! A row of a published table on its way into a book: what is proposed, and what a person must fill in.

use creditgate_measures::vocabulary::{Benefit, Class, Force, Level, Role, SubjectKind};

use super::layout::{Column, Layout, TableRow};
use super::propose::{self, Cited};

/// A national item: its code and its Chinese name.
pub type Item = (String, String);

/// A drafted row. A field that holds nothing was not found in the table.
#[derive(Debug)]
pub struct Draft {
    /// Which table it comes from.
    pub layout: Layout,
    /// Number of the row in the file.
    pub number: u64,
    /// What it is called until a person gives it its id.
    pub id: String,
    /// Title.
    pub title: Option<String>,
    /// 惩戒内容, 激励内容.
    pub content: Option<String>,
    /// The class cell or section, as written.
    pub class_text: Option<String>,
    /// Proposed class.
    pub class: Option<Class>,
    /// Proposed national item.
    pub item: Option<String>,
    /// Proposed force, with the words it rests on.
    pub force: Option<(Force, Vec<&'static str>)>,
    /// The words ask for more than one row.
    pub several_forces: bool,
    /// Benefit that the words suggest.
    pub benefit: Option<Benefit>,
    /// 惩戒对象, 激励对象, as written.
    pub targets: Option<String>,
    /// Proposed kinds.
    pub kinds: Vec<SubjectKind>,
    /// Proposed relations.
    pub relations: Vec<Role>,
    /// The basis cell, as written.
    pub basis_text: Option<String>,
    /// Laws and articles found in it.
    pub bases: Vec<Cited>,
    /// 实施主体.
    pub implementer: Option<String>,
    /// 实施层级.
    pub level: Option<String>,
    /// 实施频次.
    pub frequency: Option<String>,
}

/// Drafts a row.
pub fn draft(layout: Layout, row: &TableRow<'_>, items: &[Item]) -> Draft {
    let cell = |column| row.cell(column).map(str::to_owned);
    let content = cell(Column::Content);
    let title = cell(Column::Title).or_else(|| content.as_deref().map(short));
    let class_text = match layout {
        Layout::Penalties => row.class().map(str::to_owned),
        Layout::Incentives => None,
    };
    let class = class_text.as_deref().and_then(propose::class);
    let item_text = row.cell(Column::Item).or(row.title_above());
    let told = [
        item_text,
        title.as_deref(),
        class_text.as_deref(),
        content.as_deref(),
    ];
    let words = propose::force(content.as_deref().unwrap_or_default());
    let targets = cell(Column::Targets);
    let basis_text = cell(Column::Basis);
    Draft {
        layout,
        number: row.number,
        id: format!("DRAFT-{}", row.number),
        item: match layout {
            Layout::Penalties => item_named(&told, items),
            Layout::Incentives => None,
        },
        several_forces: words
            .as_ref()
            .is_some_and(|(_, words)| propose::several_forces(words)),
        force: force(layout, class, words),
        benefit: match layout {
            Layout::Penalties => None,
            Layout::Incentives => told
                .iter()
                .flatten()
                .find_map(|text| propose::benefit(text)),
        },
        kinds: targets.as_deref().map(propose::kinds).unwrap_or_default(),
        relations: match layout {
            Layout::Penalties => targets
                .as_deref()
                .map(propose::relations)
                .unwrap_or_default(),
            Layout::Incentives => Vec::new(),
        },
        bases: basis_text
            .as_deref()
            .map(propose::bases)
            .unwrap_or_default(),
        implementer: cell(Column::Implementer),
        level: cell(Column::Level),
        frequency: cell(Column::Frequency),
        title,
        content,
        class_text,
        class,
        targets,
        basis_text,
    }
}

/// What others do of their own accord is their own decision; what is offered may be offered.
fn force(
    layout: Layout,
    class: Option<Class>,
    words: Option<(Force, Vec<&'static str>)>,
) -> Option<(Force, Vec<&'static str>)> {
    match (layout, class) {
        (Layout::Penalties, Some(Class::C)) => Some((Force::Own, Vec::new())),
        (Layout::Penalties, _) => words,
        (Layout::Incentives, _) => Some((Force::May, Vec::new())),
    }
}

/// The item whose name stands in one of the texts.
fn item_named(texts: &[Option<&str>], items: &[Item]) -> Option<String> {
    texts.iter().flatten().find_map(|text| {
        let named = items
            .iter()
            .find(|(_, title)| text.contains(title.as_str()))?;
        Some(named.0.clone())
    })
}

/// The first clause, for a row that has no title of its own.
fn short(content: &str) -> String {
    let ends = ['，', '；', '。', '：', '\n'];
    let clause = content.split(ends).next().unwrap_or(content);
    clause.chars().take(30).collect()
}

/// `1 row`, `2 rows`.
pub fn counted(count: usize, one: &str, several: &str) -> String {
    match count {
        1 => format!("1 {one}"),
        count => format!("{count} {several}"),
    }
}

impl Draft {
    /// The fields that a person must fill in before the book takes the row.
    pub fn missing(&self) -> Vec<&'static str> {
        let penalty = self.layout == Layout::Penalties;
        let mut missing = vec!["id", "title.en", "content.en", "field"];
        let mut need = |absent: bool, field| {
            if absent {
                missing.push(field);
            }
        };
        need(self.title.is_none(), "title.zh");
        need(self.content.is_none(), "content.zh");
        need(penalty && self.item.is_none(), "item");
        need(penalty && self.class.is_none(), "class");
        need(self.force.is_none(), "force");
        need(true, "effect");
        need(true, "applies");
        need(true, "lists");
        need(self.bases.is_empty(), "basis");
        need(
            self.bases.iter().any(|basis| basis.level.is_none()),
            "basis.level",
        );
        need(self.names_local_regulation(), "basis.region");
        need(true, "published_at");
        need(true, "published_in");
        need(true, "effective_from");
        need(self.implementer.is_none(), "implementer.zh");
        need(true, "implementer.en");
        need(true, "remedies");
        need(true, "confidence");
        need(true, "cases");
        missing
    }

    fn names_local_regulation(&self) -> bool {
        self.bases
            .iter()
            .any(|basis| basis.level == Some(Level::LocalRegulation))
    }

    /// What was proposed, for the person who checks it.
    pub fn proposed(&self) -> Vec<String> {
        let mut proposed = Vec::new();
        if let Some(item) = &self.item {
            proposed.push(format!("item {item}"));
        }
        if let Some(class) = self.class {
            proposed.push(format!("class {}", class.code()));
        }
        if let Some((force, _)) = &self.force {
            proposed.push(format!("force {}", force.code()));
        }
        if !self.bases.is_empty() {
            proposed.push(counted(self.bases.len(), "basis", "bases"));
        }
        if !self.kinds.is_empty() {
            proposed.push(counted(self.kinds.len(), "kind", "kinds"));
        }
        if !self.relations.is_empty() {
            proposed.push(counted(self.relations.len(), "relation", "relations"));
        }
        proposed
    }
}
