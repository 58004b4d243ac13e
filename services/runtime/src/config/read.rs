//! From texts to values: takes the settings one key at a time, collects every fault and goes on with the default.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use super::error::{Error, Origin};
use super::keys;
use super::written::{Setting, Value, Written};

pub(super) struct Reader {
    written: Written,
    defaults: Written,
    /// The faults found so far.
    pub errors: Vec<Error>,
    /// The keys asked for, for the test that compares them with the table.
    pub asked: Vec<&'static str>,
}

impl Reader {
    pub fn new(written: Written, errors: Vec<Error>) -> Reader {
        Reader {
            written,
            defaults: Written::defaults(),
            errors,
            asked: Vec::new(),
        }
    }

    /// One value, by its own constructor; `rule` says what would have been right.
    pub fn one<T>(
        &mut self,
        path: &'static str,
        rule: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> T {
        self.take(path, |value| match value {
            Value::One(text) => parse(text).ok_or_else(|| rule.to_owned()),
            Value::Nothing | Value::Many(_) | Value::Table(_) => Err(rule.to_owned()),
        })
    }

    /// One value or nothing.
    pub fn optional<T>(
        &mut self,
        path: &'static str,
        rule: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        self.take(path, |value| match value {
            Value::Nothing => Ok(None),
            Value::One(text) => parse(text).map(Some).ok_or_else(|| rule.to_owned()),
            Value::Many(_) | Value::Table(_) => Err(rule.to_owned()),
        })
    }

    /// A list; nothing is the empty list, a single value a list of one.
    pub fn many<T>(
        &mut self,
        path: &'static str,
        rule: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Vec<T> {
        self.take(path, |value| {
            let texts = match value {
                Value::Nothing => &[],
                Value::One(text) => std::slice::from_ref(text),
                Value::Many(texts) => texts.as_slice(),
                Value::Table(_) => return Err(rule.to_owned()),
            };
            texts
                .iter()
                .map(|text| parse(text).ok_or_else(|| rule.to_owned()))
                .collect()
        })
    }

    /// Names with values, none of them empty.
    pub fn table(&mut self, path: &'static str, rule: &str) -> BTreeMap<String, String> {
        self.take(path, |value| {
            let entries = match value {
                Value::Nothing => &[],
                Value::Table(entries) => entries.as_slice(),
                Value::One(_) | Value::Many(_) => return Err(rule.to_owned()),
            };
            let filled = entries
                .iter()
                .all(|(name, value)| !name.is_empty() && !value.is_empty());
            if filled {
                Ok(entries.iter().cloned().collect())
            } else {
                Err(rule.to_owned())
            }
        })
    }

    /// A number within bounds.
    pub fn number<T>(&mut self, path: &'static str, range: RangeInclusive<T>) -> T
    where
        T: FromStr + PartialOrd + Display,
    {
        let rule = format!("must be a number from {} to {}", range.start(), range.end());
        self.one(path, &rule, |text| {
            text.parse().ok().filter(|number| range.contains(number))
        })
    }

    /// Adds a fault that only several keys together show.
    pub fn refuse(&mut self, path: &'static str, rule: impl Into<String>) {
        let setting = self.setting(path);
        let error = Error::key(
            path,
            shown(path, &setting.value),
            setting.origin.clone(),
            rule,
        );
        self.errors.push(error);
    }

    fn take<T>(&mut self, path: &'static str, read: impl Fn(&Value) -> Result<T, String>) -> T {
        self.asked.push(path);
        let setting = self.setting(path).clone();
        match read(&setting.value) {
            Ok(value) => value,
            Err(rule) => {
                self.errors.push(Error::key(
                    path,
                    shown(path, &setting.value),
                    setting.origin,
                    rule,
                ));
                let default = self
                    .defaults
                    .0
                    .get(path)
                    .map_or(&Value::Nothing, |setting| &setting.value);
                read(default).expect("a test reads every default")
            }
        }
    }

    fn setting(&self, path: &str) -> &Setting {
        const NONE: &Setting = &Setting {
            value: Value::Nothing,
            origin: Origin::Default,
        };
        self.written.0.get(path).unwrap_or(NONE)
    }
}

/// A value as an error message may show it.
fn shown(path: &str, value: &Value) -> Option<String> {
    if keys::find(path).is_none_or(|key| key.secret) {
        return None;
    }
    Some(match value {
        Value::Nothing => return None,
        // An address with a user in it may carry a password.
        Value::One(text) if text.contains("://") && text.contains('@') => return None,
        Value::One(text) => text.clone(),
        Value::Many(texts) if texts.is_empty() => return None,
        Value::Many(texts) => texts.join(", "),
        Value::Table(entries) => entries
            .iter()
            .map(|(name, value)| format!("{name}: {value}"))
            .collect::<Vec<_>>()
            .join(", "),
    })
}
