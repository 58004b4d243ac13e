//! The configuration as people write it: texts under known keys, each with the place it was written at.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use super::environment::Environment;
use super::error::{Error, Origin};
use super::keys::{self, Form, KEYS};

/// What is written under one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Nothing,
    One(String),
    Many(Vec<String>),
    Table(Vec<(String, String)>),
}

/// A value and the place it was written at.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    pub value: Value,
    pub origin: Origin,
}

/// Everything that was written, the later source having replaced the earlier one, key by key.
#[derive(Debug, Default)]
pub(super) struct Written(pub BTreeMap<&'static str, Setting>);

impl Written {
    /// Every key with its default.
    pub fn defaults() -> Written {
        let settings = KEYS.iter().map(|key| {
            let value = from_text(key.form, key.default);
            (
                key.path,
                Setting {
                    value,
                    origin: Origin::Default,
                },
            )
        });
        Written(settings.collect())
    }

    /// Lays a YAML file over what is there.
    pub fn add_file(&mut self, path: &Path, text: &str, errors: &mut Vec<Error>) {
        let path: Arc<Path> = path.into();
        match serde_saphyr::from_str::<Spanned<Node>>(text) {
            Ok(root) => {
                let place = |line| Origin::File {
                    path: path.clone(),
                    line,
                };
                self.add_section("", root, &place, errors);
            }
            Err(error) => {
                let line = error.location().map_or(0, |location| location.line());
                // `without_snippet`: the lines around an error could show a secret.
                let rule = format!(
                    "is not readable as YAML: {}",
                    first_line(&error.without_snippet().to_string())
                );
                errors.push(Error::file(Origin::File { path, line }, rule));
            }
        }
    }

    /// Lays the environment over what is there.
    pub fn add_environment(&mut self, environment: &dyn Environment, errors: &mut Vec<Error>) {
        for key in KEYS {
            let Some(text) = environment.get(key.variable) else {
                continue;
            };
            let origin = Origin::Variable(key.variable);
            match text.into_string() {
                Ok(text) => {
                    let value = from_text(key.form, &text);
                    self.0.insert(key.path, Setting { value, origin });
                }
                Err(_) => errors.push(Error::key(key.path, None, origin, "must be valid UTF-8")),
            }
        }
    }

    /// Lays one flag of the command line over what is there.
    pub fn add_flag(&mut self, path: &'static str, flag: &'static str, text: &str) {
        let form = keys::find(path).map_or(Form::One, |key| key.form);
        self.0.insert(
            path,
            Setting {
                value: from_text(form, text),
                origin: Origin::Flag(flag),
            },
        );
    }

    /// A list from the command line, one flag for each of its values.
    pub fn add_flag_list(&mut self, path: &'static str, flag: &'static str, texts: &[String]) {
        self.0.insert(
            path,
            Setting {
                value: Value::Many(texts.to_vec()),
                origin: Origin::Flag(flag),
            },
        );
    }

    /// A table from the command line, one flag for each of its entries.
    pub fn add_flag_table(
        &mut self,
        path: &'static str,
        flag: &'static str,
        entries: &[(String, String)],
    ) {
        self.0.insert(
            path,
            Setting {
                value: Value::Table(entries.to_vec()),
                origin: Origin::Flag(flag),
            },
        );
    }

    fn add_section(
        &mut self,
        section: &str,
        node: Spanned<Node>,
        place: &dyn Fn(u64) -> Origin,
        errors: &mut Vec<Error>,
    ) {
        let line = node.referenced.line();
        let entries = match node.value {
            Node::Nothing => return,
            Node::Map(entries) => entries,
            Node::One(_) | Node::Many(_) => {
                let rule = format!("must hold the keys {}", ticked(&keys::names_in(section)));
                let error = if section.is_empty() {
                    Error::file(place(line), rule)
                } else {
                    Error::key(section, None, place(line), rule)
                };
                errors.push(error);
                return;
            }
        };
        for (name, node) in entries {
            let line = name.referenced.line();
            let path = if section.is_empty() {
                name.value
            } else {
                format!("{section}.{}", name.value)
            };
            if let Some(key) = keys::find(&path) {
                match to_value(node.value) {
                    Ok(value) => {
                        self.0.insert(
                            key.path,
                            Setting {
                                value,
                                origin: place(line),
                            },
                        );
                    }
                    Err(rule) => errors.push(Error::key(&path, None, place(line), rule)),
                }
            } else if !keys::names_in(&path).is_empty() {
                self.add_section(&path, node, place, errors);
            } else {
                let known = ticked(&keys::names_in(section));
                errors.push(Error::key(
                    &path,
                    None,
                    place(line),
                    format!("is no key; here may stand {known}"),
                ));
            }
        }
    }
}

/// A variable's or a flag's text, in the form its key asks for.
fn from_text(form: Form, text: &str) -> Value {
    let parts = |separator| {
        text.split(separator)
            .map(str::trim)
            .filter(|part| !part.is_empty())
    };
    match form {
        Form::One => Value::One(text.to_owned()),
        Form::Optional if text.is_empty() => Value::Nothing,
        Form::Optional => Value::One(text.to_owned()),
        Form::Many => Value::Many(parts(',').map(str::to_owned).collect()),
        Form::Table => Value::Table(
            parts(';')
                .map(|part| match part.split_once('=') {
                    Some((name, value)) => (name.trim().to_owned(), value.trim().to_owned()),
                    None => (part.to_owned(), String::new()),
                })
                .collect(),
        ),
    }
}

fn to_value(node: Node) -> Result<Value, &'static str> {
    const SCALAR: &str = "must hold plain values, no lists or sections inside";
    let text = |node: Spanned<Node>| match node.value {
        Node::One(text) => Ok(text),
        Node::Nothing => Ok(String::new()),
        Node::Many(_) | Node::Map(_) => Err(SCALAR),
    };
    Ok(match node {
        Node::Nothing => Value::Nothing,
        Node::One(text) => Value::One(text),
        Node::Many(nodes) => Value::Many(nodes.into_iter().map(text).collect::<Result<_, _>>()?),
        Node::Map(entries) => Value::Table(
            entries
                .into_iter()
                .map(|(name, node)| Ok((name.value, text(node)?)))
                .collect::<Result<_, &'static str>>()?,
        ),
    })
}

fn ticked(names: &[&str]) -> String {
    names
        .iter()
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or(text)
}

/// Any YAML, with the lines kept: so that every unknown key is named in one go, not only the first.
#[derive(Debug)]
enum Node {
    Nothing,
    One(String),
    Many(Vec<Spanned<Node>>),
    Map(Vec<(Spanned<String>, Spanned<Node>)>),
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value, a list or a section")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Nothing)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Nothing)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::One(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::One(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::One(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::One(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::One(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
        let mut nodes = Vec::new();
        while let Some(node) = seq.next_element()? {
            nodes.push(node);
        }
        Ok(Node::Many(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Node::Map(entries))
    }
}
