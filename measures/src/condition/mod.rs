//! Conditions of measure rows: CEL over `event`, `subject` and `entry`, checked completely when the book is loaded.
//!
//! CEL itself finds only syntax errors when it compiles: a mistyped field, a comparison of different types or an
//! unguarded optional field shows up during evaluation, or never. So a condition is compiled against a [`Schema`],
//! and one that is accepted can fail at run time in a single way, by an integer that overflows, as long as the
//! records hold what the schema says.

mod check;
mod place;
#[cfg(test)]
mod properties;
mod record;
mod schema;
mod shape;
#[cfg(test)]
mod tests;

pub use record::{Bindings, Record, Value};
pub use schema::{Field, Root, Schema, Type};

use cel::common::types::CelBool;
use cel::parser::{Expression, Parser};
use cel::{Context, Env, ExecutionError};
use place::Places;
use std::cell::LazyCell;
use std::sync::Arc;

/// A condition that fits its schema. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Condition {
    expression: Arc<Expression>,
    reads: Arc<[(Root, Arc<str>)]>,
}

impl Condition {
    /// Compiles `source` and checks everything that can be known before an event is there.
    pub fn compile(source: &str, schema: &Schema) -> Result<Condition, ConditionError> {
        let places = Places::new(source);
        shape::admit(source, &places)?;
        let (expression, offsets) = parse(source, &places)?;
        let reads = check::check(&expression, schema, &places.with_offsets(offsets))?;
        Ok(Condition {
            expression: Arc::new(expression),
            reads: reads.into_iter().collect(),
        })
    }

    /// The fields that the condition reads or asks `has()` about, sorted, each once.
    pub fn reads(&self) -> &[(Root, Arc<str>)] {
        &self.reads
    }

    /// Whether the condition holds for these records.
    pub fn evaluate(&self, bindings: &Bindings<'_>) -> Result<bool, EvaluationError> {
        let mut context = context();
        context.set_variable_resolver(bindings);
        let value = cel::Value::resolve_val(&self.expression, &context)?;
        let truth = value
            .downcast_ref::<CelBool>()
            .ok_or(EvaluationError::NotAsDeclared)?;
        Ok(*truth.inner())
    }
}

thread_local! {
    // One environment per thread: all evaluations of all threads would otherwise count references on one cache line.
    static ENVIRONMENT: LazyCell<Arc<Env>> = LazyCell::new(|| Arc::new(Env::stdlib()));
}

fn context<'v>() -> Context<'static, 'v> {
    let environment = ENVIRONMENT.try_with(|environment| Arc::clone(environment));
    // A thread that is ending has no environment of its own any more.
    Context::with_env(environment.unwrap_or_else(|_| Arc::new(Env::stdlib())))
}

/// Why a condition is refused, where, and what would mend it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {message}; {mend}")]
pub struct ConditionError {
    /// The line within the source, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub mend: String,
}

/// Why a condition could not be decided. It names no values, which are about people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvaluationError {
    /// A calculation left the range of 64 bits.
    #[error("an integer overflowed")]
    Overflow,
    /// A record lacks a field that its schema requires.
    #[error("required field `{0}` is missing")]
    Missing(String),
    /// A record holds a value of another type than its schema says.
    #[error("a record does not hold what its schema says")]
    NotAsDeclared,
}

impl From<ExecutionError> for EvaluationError {
    fn from(error: ExecutionError) -> Self {
        match error {
            ExecutionError::Overflow(..) => EvaluationError::Overflow,
            ExecutionError::NoSuchKey(name) => EvaluationError::Missing(name.to_string()),
            _ => EvaluationError::NotAsDeclared,
        }
    }
}

fn parse(
    source: &str,
    places: &Places<'_>,
) -> Result<(Expression, cel::common::ast::SourceInfo), ConditionError> {
    Parser::new()
        .parse_with_source_info(source)
        .map_err(|errors| match errors.errors.first() {
            None => places.first("syntax error", check::MAY_BE_USED),
            Some(error) => places.syntax_error(error),
        })
}
