//! What a condition reads: records of the event, the subject and the entry, in the form the evaluation takes.

use super::schema::Root;
use cel::ExecutionError;
use cel::common::traits::Indexer;
use cel::common::types::{CelBool, CelInt, CelList, CelString, MAP_TYPE, Type};
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;
use std::borrow::Cow;
use std::fmt;

/// The value of one field.
#[derive(Clone, PartialEq, Eq)]
pub enum Value<'v> {
    /// Text, and dates as `YYYY-MM-DD`.
    Str(Cow<'v, str>),
    /// A whole number.
    Int(i64),
    /// True or false.
    Bool(bool),
    /// A list of texts.
    List(Vec<Cow<'v, str>>),
}

/// Values are about people; only their type is printed.
impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Value::Str(_) => "Str(…)",
            Value::Int(_) => "Int(…)",
            Value::Bool(_) => "Bool(…)",
            Value::List(_) => "List(…)",
        })
    }
}

impl<'v> From<&'v str> for Value<'v> {
    fn from(text: &'v str) -> Self {
        Value::Str(Cow::Borrowed(text))
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Value::Str(Cow::Owned(text))
    }
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Value::Int(number)
    }
}

impl From<bool> for Value<'_> {
    fn from(truth: bool) -> Self {
        Value::Bool(truth)
    }
}

impl<'v> FromIterator<&'v str> for Value<'v> {
    fn from_iter<I: IntoIterator<Item = &'v str>>(texts: I) -> Self {
        Value::List(texts.into_iter().map(Cow::Borrowed).collect())
    }
}

impl FromIterator<String> for Value<'_> {
    fn from_iter<I: IntoIterator<Item = String>>(texts: I) -> Self {
        Value::List(texts.into_iter().map(Cow::Owned).collect())
    }
}

/// The fields of one event, subject or entry. It is built once and read by many conditions; it may
/// borrow its texts, or own them and be a `Record<'static>` that lives as long as a snapshot.
///
/// An optional field that is absent is left out. A required field left out, or a value of another type
/// than the schema's, is found when a condition reads it and is an `EvaluationError` there.
#[derive(Clone, Default)]
pub struct Record<'v> {
    // A dozen names: comparing lengths one after the other is quicker than hashing, and building is a push.
    fields: Vec<(Cow<'v, str>, Held<'v>)>,
}

impl<'v> Record<'v> {
    /// Builds a record; of two values with the same name the first counts.
    pub fn new<N: Into<Cow<'v, str>>>(fields: impl IntoIterator<Item = (N, Value<'v>)>) -> Self {
        let fields = fields
            .into_iter()
            .map(|(name, value)| (name.into(), Held::from(value)));
        Record {
            fields: fields.collect(),
        }
    }

    fn find(&self, name: &str) -> Option<&(dyn Val + 'v)> {
        let (_, held) = self.fields.iter().find(|(known, _)| known == name)?;
        Some(held.as_val())
    }
}

impl<'v, N: Into<Cow<'v, str>>> FromIterator<(N, Value<'v>)> for Record<'v> {
    fn from_iter<I: IntoIterator<Item = (N, Value<'v>)>>(fields: I) -> Self {
        Record::new(fields)
    }
}

/// The names only; values are about people.
impl fmt::Debug for Record<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.fields.iter().map(|(name, _)| name);
        f.write_str("Record ")?;
        f.debug_set().entries(names).finish()
    }
}

/// A value in the form that the evaluation borrows, so that reading a field allocates nothing.
#[derive(Clone)]
enum Held<'v> {
    Str(CelString<'v>),
    Int(CelInt),
    Bool(CelBool),
    List(CelList<'v>),
}

impl<'v> Held<'v> {
    fn as_val(&self) -> &(dyn Val + 'v) {
        match self {
            Held::Str(text) => text,
            Held::Int(number) => number,
            Held::Bool(truth) => truth,
            Held::List(texts) => texts,
        }
    }
}

impl<'v> From<Value<'v>> for Held<'v> {
    fn from(value: Value<'v>) -> Self {
        let boxed = |text: Cow<'v, str>| -> Box<dyn Val + 'v> { Box::new(CelString::from(text)) };
        match value {
            Value::Str(text) => Held::Str(CelString::from(text)),
            Value::Int(number) => Held::Int(CelInt::from(number)),
            Value::Bool(truth) => Held::Bool(CelBool::from(truth)),
            Value::List(texts) => Held::List(CelList::from(
                texts.into_iter().map(boxed).collect::<Vec<_>>(),
            )),
        }
    }
}

static RECORD: Type = MAP_TYPE;

/// `has(event.x)` asks the record itself; a plain `event.x` is answered by [`Bindings`] in one step.
impl<'v> Val for Record<'v> {
    fn get_type(&self) -> &Type {
        &RECORD
    }

    fn cel_type() -> &'static Type {
        &RECORD
    }

    fn as_indexer<'b, 'w>(&'b self) -> Option<&'b (dyn Indexer + 'w)>
    where
        Self: 'w,
    {
        Some(self)
    }

    fn clone_as_boxed<'w>(&self) -> Box<dyn Val + 'w>
    where
        Self: 'w,
    {
        Box::new(self.clone())
    }
}

impl<'v> Indexer for Record<'v> {
    fn get<'b, 'w>(&'b self, key: &dyn Val) -> Result<CowVal<'b, 'w>, ExecutionError>
    where
        Self: 'w,
    {
        let Some(name) = key.downcast_ref::<CelString<'_>>() else {
            return Err(ExecutionError::no_such_key(""));
        };
        match self.find(name.inner()) {
            Some(value) => Ok(CowVal::Borrowed(value)),
            None => Err(ExecutionError::no_such_key(name.inner())),
        }
    }

    fn steal<'w>(self: Box<Self>, key: &dyn Val) -> Result<Box<dyn Val + 'w>, ExecutionError>
    where
        Self: 'w,
    {
        self.get(key).map(CowVal::into_owned)
    }
}

/// The records that one evaluation reads.
#[derive(Clone, Copy, Debug)]
pub struct Bindings<'a> {
    /// What `event` stands for.
    pub event: &'a Record<'a>,
    /// What `subject` stands for.
    pub subject: &'a Record<'a>,
    /// What `entry` stands for; `None` for a row that needs no entry.
    pub entry: Option<&'a Record<'a>>,
}

impl<'a> Bindings<'a> {
    fn record(&self, root: &str) -> Option<&'a Record<'a>> {
        match Root::of(root)? {
            Root::Event => Some(self.event),
            Root::Subject => Some(self.subject),
            Root::Entry => self.entry,
        }
    }
}

impl VariableResolver for Bindings<'_> {
    // The interpreter asks for the whole qualified name `event.x` before it asks for `event`.
    fn resolve<'b>(&'b self, name: &str) -> Option<CowVal<'b, 'b>> {
        match name.split_once('.') {
            None => Some(CowVal::Borrowed(self.record(name)?)),
            Some((root, field)) => Some(CowVal::Borrowed(self.record(root)?.find(field)?)),
        }
    }
}
