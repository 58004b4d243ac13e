//! Drafts as YAML in the form of a book, with a `TODO` at everything a person must fill in.
//!
//! A field to fill in is a comment, so it is missing, and a book that holds a draft is refused.

use std::fmt::Write as _;

use creditgate_measures::vocabulary::{Benefit, Effect, Force, Level};

use super::draft::Draft;
use super::layout::Layout;
use super::propose::Cited;

/// A file of drafts.
pub fn file(drafts: &[Draft], source: &str) -> String {
    let mut out = Text::default();
    out.line(0, &format!("# Drafts made from {}.", comment(source)));
    out.line(
        0,
        "# Every `TODO` asks for something that only a person can say; what is `proposed` was read out of the",
    );
    out.line(
        0,
        "# words of the table and is to be checked against the law. `creditgate measures lint` refuses the file",
    );
    out.line(
        0,
        "# until the fields are there. Delete the comments as they are done.",
    );
    out.line(0, "measures:");
    for draft in drafts {
        row(&mut out, draft);
        out.line(0, "");
    }
    out.0.truncate(out.0.trim_end().len());
    out.0.push('\n');
    out.0
}

#[derive(Default)]
struct Text(String);

impl Text {
    fn line(&mut self, depth: usize, text: &str) {
        if !text.is_empty() {
            self.0.push_str(&"  ".repeat(depth));
        }
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "{text}");
    }

    fn todo(&mut self, depth: usize, what: &str) {
        self.line(depth, &format!("# TODO {what}"));
    }

    /// A text of two languages, of which the table has one at most.
    fn bilingual(&mut self, field: &str, zh: Option<&str>, what: &str) {
        self.line(2, &format!("{field}:"));
        match zh {
            Some(zh) => self.line(3, &format!("zh: {}", quoted(zh))),
            None => self.todo(3, &format!("zh: {what}")),
        }
        self.todo(3, &format!("en: {what}, in English"));
    }
}

fn row(out: &mut Text, draft: &Draft) {
    out.line(1, &format!("# row {} of the table", draft.number));
    out.line(1, &format!("- id: {} # TODO an id of the book", draft.id));
    out.bilingual("title", draft.title.as_deref(), "short title");
    out.bilingual("content", draft.content.as_deref(), "what is done");
    out.todo(2, "field: the row's own field, such as market_regulation");
    match draft.layout {
        Layout::Penalties => {
            out.line(2, "direction: penalty");
            class(out, draft);
        }
        Layout::Incentives => out.line(2, "direction: incentive"),
    }
    force(out, draft);
    effect(out, draft);
    out.todo(2, "applies: scenarios and stages, such as");
    out.line(2, "#   - { scenario: permit, stages: [accept, decide] }");
    targets(out, draft);
    basis(out, draft);
    out.todo(2, "published_at: day of publication, such as \"2024-03-01\"; without it the row stays inactive");
    out.todo(2, "published_in: where it was published");
    out.todo(
        2,
        "effective_from: first day in force; effective_to: the last, if any",
    );
    for (heading, text) in [("实施层级", &draft.level), ("实施频次", &draft.frequency)] {
        if let Some(text) = text {
            out.line(2, &format!("# {heading}: {}", comment(text)));
        }
    }
    out.bilingual(
        "implementer",
        draft.implementer.as_deref(),
        "who carries it out",
    );
    out.todo(2, "remedies: how to object or repair, zh and en");
    out.todo(
        2,
        "confidence: verified once the text of the law was read, else recalled",
    );
    out.todo(2, "cases: one that matches and one that does not");
}

fn class(out: &mut Text, draft: &Draft) {
    match &draft.item {
        Some(item) => out.line(2, &format!("item: {item} # proposed")),
        None => out.todo(2, "item: code of the national item, such as MKT_ENTRY"),
    }
    let written = draft.class_text.as_deref().map(comment);
    let written = written.map_or(String::new(), |text| format!("; the table says: {text}"));
    match draft.class {
        Some(class) => out.line(2, &format!("class: {} # proposed{written}", class.code())),
        None => out.todo(2, &format!("class: A, B or C, as the item has it{written}")),
    }
}

fn force(out: &mut Text, draft: &Draft) {
    let Some((force, words)) = &draft.force else {
        let known: Vec<&str> = Force::ALL.iter().map(|force| force.code()).collect();
        return out.todo(
            2,
            &format!(
                "force: one of {}; no word of the table says it",
                known.join(", ")
            ),
        );
    };
    if draft.several_forces {
        out.todo(
            2,
            &format!(
                "the words bind differently ({}): split the row, one for each force",
                words.join(", ")
            ),
        );
    }
    let from = match words.as_slice() {
        [] => String::new(),
        words => format!(" from {}", words.join(", ")),
    };
    out.line(2, &format!("force: {} # proposed{from}", force.code()));
}

fn effect(out: &mut Text, draft: &Draft) {
    let known: Vec<&str> = match draft.layout {
        Layout::Penalties => Effect::ALL.iter().map(|effect| effect.code()).collect(),
        Layout::Incentives => Benefit::ALL.iter().map(|benefit| benefit.code()).collect(),
    };
    let perhaps = draft.benefit.map_or(String::new(), |benefit| {
        format!("; perhaps {}", benefit.code())
    });
    out.todo(2, &format!("effect: one of {}{perhaps}", known.join(", ")));
}

fn targets(out: &mut Text, draft: &Draft) {
    let written = draft.targets.as_deref().map(comment);
    let written = written.map_or(String::new(), |text| format!("; the table says: {text}"));
    out.todo(
        2,
        &format!("lists: codes of the lists on which the targets stand{written}"),
    );
    if !draft.kinds.is_empty() {
        let kinds: Vec<&str> = draft.kinds.iter().map(|kind| kind.code()).collect();
        out.line(2, &format!("kinds: [{}] # proposed", kinds.join(", ")));
    }
    if !draft.relations.is_empty() {
        let roles: Vec<&str> = draft.relations.iter().map(|role| role.code()).collect();
        out.line(2, &format!("extends_to: [{}] # proposed", roles.join(", ")));
    }
}

fn basis(out: &mut Text, draft: &Draft) {
    if let Some(text) = &draft.basis_text {
        out.line(2, &format!("# the table says: {}", comment(text)));
    }
    if draft.bases.is_empty() {
        return out.todo(
            2,
            "basis: the law with its article, document number and level",
        );
    }
    out.line(2, "basis: # proposed");
    for cited in &draft.bases {
        one_basis(out, cited);
    }
}

fn one_basis(out: &mut Text, cited: &Cited) {
    out.line(3, &format!("- law: {}", quoted(&cited.law)));
    match &cited.article {
        Some(article) => out.line(4, &format!("article: {}", quoted(article))),
        None => out.todo(4, "article: which one, if the document has articles"),
    }
    if let Some(number) = &cited.document_no {
        out.line(4, &format!("document_no: {}", quoted(number)));
    }
    match cited.level {
        Some(level) => out.line(4, &format!("level: {} # proposed", level.code())),
        None => {
            let known: Vec<&str> = Level::ALL.iter().map(|level| level.code()).collect();
            out.todo(4, &format!("level: one of {}", known.join(", ")));
        }
    }
    if cited.level == Some(Level::LocalRegulation) {
        out.todo(
            4,
            "region: six digits of the legislature's region, in quotes",
        );
    }
}

/// A text of the table as a YAML scalar: JSON's strings are YAML's.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A text of the table as part of a comment: a line break would end it.
fn comment(text: &str) -> String {
    let lines: Vec<&str> = text.split_whitespace().collect();
    lines.join(" ")
}

#[cfg(test)]
mod tests {
    use super::super::layout;
    use super::super::sheet::{Line, Sheet};
    use super::*;
    use creditgate_measures::book::source::MeasuresFile;

    fn drafted(headings: &str, cells: &[&str]) -> String {
        let line = |number, cells: Vec<&str>| Line {
            number,
            cells: cells.into_iter().map(str::to_owned).collect(),
        };
        let sheets = [Sheet {
            name: String::new(),
            lines: vec![
                line(1, headings.split('|').collect()),
                line(2, cells.to_vec()),
            ],
        }];
        let table = layout::recognise(&sheets, None).expect("a table");
        let items = [("MKT_ENTRY".to_owned(), "限制市场或行业准入".to_owned())];
        let rows = table.rows();
        let drafts = rows
            .iter()
            .map(|row| super::super::draft::draft(table.layout, row, &items));
        file(&drafts.collect::<Vec<_>>(), "a\ntable.csv")
    }

    const HEADINGS: &str = "类别|惩戒措施|惩戒内容|惩戒对象|法规政策依据|实施主体";

    #[test]
    fn a_draft_proposes_what_the_words_say() {
        let text = drafted(
            HEADINGS,
            &[
                "A类",
                "限制市场或行业准入",
                "可以提醒，三年内不得申请",
                "企业及其法定代表人",
                "《某某法》第一条；《某省条例》",
                "某机关",
            ],
        );
        for line in [
            "    item: MKT_ENTRY # proposed\n",
            "    class: A # proposed; the table says: A类\n",
            "    # TODO the words bind differently (可以, 不得): split the row, one for each force\n",
            "    force: may # proposed from 可以, 不得\n",
            "    kinds: [enterprise] # proposed\n",
            "    extends_to: [legal_representative] # proposed\n",
            "        article: \"第一条\"\n",
            "        level: local_regulation # proposed\n",
            "        # TODO region: six digits of the legislature's region, in quotes\n",
        ] {
            assert!(text.contains(line), "no `{line}` in\n{text}");
        }
    }

    #[test]
    fn whatever_stands_in_a_cell_the_draft_is_yaml_and_refused_for_what_is_missing() {
        let odd = "a: \"b\" # c\n- d\u{2028}e | {f}\t\\";
        let text = drafted(HEADINGS, &[odd, odd, odd, odd, odd, "某机关"]);
        let read: serde_json::Value = serde_saphyr::from_str(&text).expect("YAML");
        assert_eq!(read["measures"][0]["content"]["zh"], odd);
        let refused = serde_saphyr::from_str::<MeasuresFile>(&text).expect_err("a draft");
        assert!(refused.to_string().contains("missing field"), "{refused}");
    }
}
