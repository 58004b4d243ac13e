//! Where in the source something stands, in lines and characters as an editor counts them.

use super::ConditionError;
use cel::ParseError;
use cel::common::ast::SourceInfo;

/// Turns the parser's ids and offsets into lines and columns of the source.
pub(super) struct Places<'s> {
    source: &'s str,
    offsets: SourceInfo,
}

impl<'s> Places<'s> {
    pub(super) fn new(source: &'s str) -> Self {
        Places {
            source,
            offsets: SourceInfo::default(),
        }
    }

    pub(super) fn with_offsets(self, offsets: SourceInfo) -> Self {
        Places { offsets, ..self }
    }

    /// An error about the condition as a whole.
    pub(super) fn first(
        &self,
        message: impl Into<String>,
        mend: impl Into<String>,
    ) -> ConditionError {
        ConditionError {
            line: 1,
            column: 1,
            message: message.into(),
            mend: mend.into(),
        }
    }

    /// An error at the expression `id`.
    pub(super) fn at(
        &self,
        id: u64,
        message: impl Into<String>,
        mend: impl Into<String>,
    ) -> ConditionError {
        self.at_offset(self.before(id).len(), message, mend)
    }

    /// An error at a byte of the source.
    pub(super) fn at_offset(
        &self,
        offset: usize,
        message: impl Into<String>,
        mend: impl Into<String>,
    ) -> ConditionError {
        let (line, column) = self.line_and_column(offset);
        ConditionError {
            line,
            column,
            message: message.into(),
            mend: mend.into(),
        }
    }

    /// An error at the name of the call `id`, of which the parser knows only the bracket.
    pub(super) fn at_call(
        &self,
        id: u64,
        message: impl Into<String>,
        mend: impl Into<String>,
    ) -> ConditionError {
        let before = self.before(id).trim_end();
        self.at_offset(before.len() - self.called(id).len(), message, mend)
    }

    /// The name in front of the bracket of the call `id`.
    pub(super) fn called(&self, id: u64) -> &'s str {
        let before = self.before(id).trim_end();
        let start = before
            .rfind(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
            .map_or(0, |at| {
                at + before
                    .get(at..)
                    .and_then(|rest| rest.chars().next())
                    .map_or(1, char::len_utf8)
            });
        before.get(start..).unwrap_or_default()
    }

    /// What the parser refused, in plain words.
    pub(super) fn syntax_error(&self, error: &ParseError) -> ConditionError {
        let (message, mend) = plain(&error.msg);
        // The parser counts from 1, and gives 0 where it lost its way.
        let [line, column] =
            [error.pos.0, error.pos.1].map(|n| u32::try_from(n).unwrap_or(1).max(1));
        ConditionError {
            line,
            column,
            message,
            mend,
        }
    }

    fn before(&self, id: u64) -> &'s str {
        let offset = self
            .offsets
            .offset_for(id)
            .map_or(0, |(start, _)| start as usize);
        // The parser's offsets are bytes at the start of a token, so a character never begins earlier.
        self.source.get(..offset).unwrap_or(self.source)
    }

    fn line_and_column(&self, offset: usize) -> (u32, u32) {
        let before = self.source.get(..offset).unwrap_or(self.source);
        let line = before.matches('\n').count() + 1;
        let column = before
            .rsplit('\n')
            .next()
            .unwrap_or_default()
            .chars()
            .count()
            + 1;
        (
            u32::try_from(line).unwrap_or(u32::MAX),
            u32::try_from(column).unwrap_or(u32::MAX),
        )
    }
}

/// The parser's message without its grammar, and what mends it.
fn plain(message: &str) -> (String, String) {
    let message = message.strip_prefix("Syntax error: ").unwrap_or(message);
    let message = message.split(" expecting ").next().unwrap_or(message);
    let given = |message: &str, mend: &str| (message.to_owned(), mend.to_owned());
    if message.contains("'<EOF>'") {
        given(
            "the condition ends too early",
            "finish the expression, or close its brackets and quotes",
        )
    } else if message.starts_with("invalid int literal") {
        given(
            "an integer literal is out of range",
            "write a number between -9223372036854775808 and 9223372036854775807",
        )
    } else if message.starts_with("invalid argument to has()") {
        given("has() takes one field", "write it as `has(event.field)`")
    } else if message == "UNKNOWN" {
        given(
            "the condition is nested too deeply",
            "write it flatter, or write several rows",
        )
    } else {
        let message = message.replace('\n', " ").replace('\'', "`");
        (
            format!("syntax error: {message}"),
            super::check::MAY_BE_USED.to_owned(),
        )
    }
}
