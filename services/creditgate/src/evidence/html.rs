//! HTML in which no text of anybody's can be more than text.
//!
//! INVARIANT (only text): an [`Html`] is made of words of this program ([`Html::fixed`]) and of escaped text; nothing else
//! makes one.

use std::fmt::Write as _;

/// A piece of a page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Html(String);

impl Html {
    /// Words of this program.
    pub fn fixed(words: &'static str) -> Self {
        Self(words.to_owned())
    }

    /// A text that may be anybody's. Characters that nobody sees, such as those that turn the direction of writing, are
    /// shown by their number.
    pub fn text(text: &str) -> Self {
        let mut html = String::with_capacity(text.len());
        for character in text.chars() {
            match character {
                '&' => html.push_str("&amp;"),
                '<' => html.push_str("&lt;"),
                '>' => html.push_str("&gt;"),
                '"' => html.push_str("&quot;"),
                '\'' => html.push_str("&#39;"),
                '`' => html.push_str("&#96;"),
                unseen if is_unseen(unseen) => {
                    // A `String` takes everything.
                    let _ = write!(html, "[U+{:04X}]", u32::from(unseen));
                }
                plain => html.push(plain),
            }
        }
        Self(html)
    }

    /// A value: a text that keeps its direction of writing to itself.
    pub fn value(text: &str) -> Self {
        Self::text(text).within("bdi")
    }

    /// A value in letters of one width.
    pub fn code(text: &str) -> Self {
        Self::text(text).within("code")
    }

    /// Chinese with English beside it.
    pub fn both(zh: &str, en: &str) -> Self {
        match en.is_empty() || zh == en {
            true => Self::value(zh),
            false => Self(format!(
                "{} <span lang=\"en\">{}</span>",
                Self::value(zh).0,
                Self::value(en).0
            )),
        }
    }

    /// A paragraph of words of this program.
    pub fn paragraph(zh: &'static str, en: &'static str) -> Self {
        Self(format!("<p>{zh}<br><span lang=\"en\">{en}</span></p>"))
    }

    /// This inside an element.
    pub fn within(self, element: &'static str) -> Self {
        Self(format!("<{element}>{}</{element}>", self.0))
    }

    /// This and that behind it.
    pub fn and(mut self, other: Self) -> Self {
        self.0.push_str(&other.0);
        self
    }

    /// Each on a line of its own; empty ones are left out.
    pub fn lines(all: impl IntoIterator<Item = Self>) -> Self {
        let lines: Vec<String> = all
            .into_iter()
            .map(|one| one.0)
            .filter(|line| !line.is_empty())
            .collect();
        Self(lines.join("<br>"))
    }

    /// A part of the page under its heading.
    pub fn section(zh: &'static str, en: &'static str, inner: Self) -> Self {
        Self(format!(
            "<section><h2>{zh} <span lang=\"en\">{en}</span></h2>\n{}</section>\n",
            inner.0
        ))
    }

    /// Names and values, a row each; rows without a value are left out.
    pub fn facts(rows: impl IntoIterator<Item = (&'static str, &'static str, Self)>) -> Self {
        let mut html = String::from("<table class=\"facts\">\n");
        for (zh, en, value) in rows {
            if !value.0.is_empty() {
                let _ = writeln!(
                    html,
                    "<tr><th>{zh} <span lang=\"en\">{en}</span></th><td>{}</td></tr>",
                    value.0
                );
            }
        }
        html.push_str("</table>\n");
        Self(html)
    }

    /// A table with a row of headings.
    pub fn table(headings: &[(&'static str, &'static str)], rows: Vec<Vec<Self>>) -> Self {
        let mut html = String::from("<table>\n<thead><tr>");
        for (zh, en) in headings {
            let _ = write!(html, "<th>{zh} <span lang=\"en\">{en}</span></th>");
        }
        html.push_str("</tr></thead>\n<tbody>\n");
        for row in rows {
            html.push_str("<tr>");
            for cell in row {
                let _ = write!(html, "<td>{}</td>", cell.0);
            }
            html.push_str("</tr>\n");
        }
        html.push_str("</tbody></table>\n");
        Self(html)
    }

    /// What is written to a file.
    pub fn into_text(self) -> String {
        self.0
    }
}

/// Whether a character changes what is seen without being seen: controls, marks of direction, joiners, tags.
fn is_unseen(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{AD}'
                | '\u{61C}'
                | '\u{180E}'
                | '\u{200B}'..='\u{200F}'
                | '\u{2028}'..='\u{202E}'
                | '\u{2060}'..='\u{206F}'
                | '\u{FEFF}'
                | '\u{FFF9}'..='\u{FFFB}'
                | '\u{E0000}'..='\u{E007F}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_never_more_than_text() {
        let check = |text: &str, expected: &str| {
            assert_eq!(Html::text(text).into_text(), expected, "{text:?}");
        };
        check("示例建设有限公司", "示例建设有限公司");
        check(
            "<script>alert(1)</script>",
            "&lt;script&gt;alert(1)&lt;/script&gt;",
        );
        check(
            "\" onload='x' `y` & &lt;",
            "&quot; onload=&#39;x&#39; &#96;y&#96; &amp; &amp;lt;",
        );
        check(
            "a\u{202E}b\u{200F}c\n\0",
            "a[U+202E]b[U+200F]c[U+000A][U+0000]",
        );
        check("", "");
    }

    #[test]
    fn pieces_are_put_together_and_empty_ones_left_out() {
        let lines = Html::lines([Html::text("a"), Html::default(), Html::fixed("b")]);
        assert_eq!(lines.into_text(), "a<br>b");
        assert_eq!(
            Html::both("裁", "<b>").into_text(),
            "<bdi>裁</bdi> <span lang=\"en\"><bdi>&lt;b&gt;</bdi></span>"
        );
        assert_eq!(Html::both("PASS", "PASS").into_text(), "<bdi>PASS</bdi>");
        let facts = Html::facts([("甲", "a", Html::default()), ("乙", "b", Html::text("1"))]);
        let facts = facts.into_text();
        assert!(
            !facts.contains('甲') && facts.contains("<td>1</td>"),
            "{facts}"
        );
    }
}
