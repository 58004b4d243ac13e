//! The checker: every name, type and guard of a parsed condition, before it ever meets an event.
//!
//! INVARIANT (decided when loaded): what this accepts fails at run time only by an overflow, for records that hold
//! what the schema says. So whatever the evaluation knows and this does not, is refused.

use super::ConditionError;
use super::place::Places;
use super::schema::{Field, Root, Schema, Type, nearest};
use cel::common::ast::{
    ComprehensionExpr, Expr, IdedExpr, ListExpr, LiteralValue, SelectExpr, operators,
};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The whole language of conditions, for messages.
pub(super) const MAY_BE_USED: &str = "conditions may use == != < <= > >=, && || !, ?:, in, + - * / %, has(), size(), \
     startsWith(), endsWith(), contains(), all(), exists() and lists of literals";

/// How deep the expression may be. Evaluation descends once per level.
const DEPTH_MAX: usize = 64;

const FUNCTIONS: [&str; 7] = [
    "has",
    "size",
    "startsWith",
    "endsWith",
    "contains",
    "all",
    "exists",
];

/// The fields that a condition reads or asks `has()` about.
pub(super) type Reads = BTreeSet<(Root, Arc<str>)>;

/// Checks `expression` and returns the fields that it reads, sorted.
pub(super) fn check(
    expression: &IdedExpr,
    schema: &Schema,
    places: &Places<'_>,
) -> Result<Reads, ConditionError> {
    let mut checker = Checker {
        schema,
        places,
        variables: Vec::new(),
        reads: Reads::new(),
        depth: 0,
    };
    let known = checker.expression(expression, &Present::new())?;
    match known.of {
        Of::One(Kind::Bool) => Ok(checker.reads),
        of => {
            let message = format!("the condition is {}, not a bool", of.article());
            Err(places.at(
                start(expression),
                message,
                "make it a question, such as a comparison",
            ))
        }
    }
}

/// The type of a single value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    String,
    Date,
    Int,
    Bool,
}

/// The type of an expression.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    One(Kind),
    List(Kind),
}

impl Of {
    fn article(self) -> &'static str {
        match self {
            Of::One(Kind::String) => "a string",
            Of::One(Kind::Date) => "a date",
            Of::One(Kind::Int) => "an int",
            Of::One(Kind::Bool) => "a bool",
            Of::List(Kind::String) => "a list of strings",
            Of::List(Kind::Date) => "a list of dates",
            Of::List(Kind::Int) => "a list of ints",
            Of::List(Kind::Bool) => "a list of bools",
        }
    }
}

impl From<Type> for Of {
    fn from(ty: Type) -> Self {
        match ty {
            Type::String => Of::One(Kind::String),
            Type::Date => Of::One(Kind::Date),
            Type::Int => Of::One(Kind::Int),
            Type::Bool => Of::One(Kind::Bool),
            Type::StringList => Of::List(Kind::String),
        }
    }
}

/// Optional fields known to be there.
type Present<'e> = BTreeSet<(Root, &'e str)>;

/// What is known of an expression.
struct Known<'e> {
    of: Of,
    /// The value, where it is the same for every event.
    constant: Option<Constant<'e>>,
    /// The optional fields that are there whenever the expression is true,
    when_true: Present<'e>,
    /// and whenever it is false.
    when_false: Present<'e>,
}

#[derive(Clone, Copy)]
enum Constant<'e> {
    Text(&'e str),
    Number(i64),
}

impl<'e> Known<'e> {
    fn of(of: Of) -> Self {
        Known {
            of,
            constant: None,
            when_true: Present::new(),
            when_false: Present::new(),
        }
    }

    fn one(kind: Kind) -> Self {
        Known::of(Of::One(kind))
    }

    fn constant(kind: Kind, constant: Constant<'e>) -> Self {
        Known {
            constant: Some(constant),
            ..Known::one(kind)
        }
    }

    fn text(&self) -> Option<&'e str> {
        match self.constant {
            Some(Constant::Text(text)) => Some(text),
            _ => None,
        }
    }

    fn number(&self) -> Option<i64> {
        match self.constant {
            Some(Constant::Number(number)) => Some(number),
            _ => None,
        }
    }
}

struct Checker<'e, 'c> {
    schema: &'e Schema,
    places: &'c Places<'c>,
    /// The variables of the `all()` and `exists()` around the expression.
    variables: Vec<(&'e str, Kind)>,
    reads: Reads,
    depth: usize,
}

type Checked<'e> = Result<Known<'e>, ConditionError>;

impl<'e> Checker<'e, '_> {
    fn expression(&mut self, at: &'e IdedExpr, present: &Present<'e>) -> Checked<'e> {
        if self.depth >= DEPTH_MAX {
            let message = format!("the condition is nested more than {DEPTH_MAX} levels deep");
            return Err(self
                .places
                .at(at.id, message, "write it flatter, or write several rows"));
        }
        self.depth += 1;
        let known = match &at.expr {
            Expr::Literal(literal) => self.literal(at.id, literal),
            Expr::Ident(name) => self.identifier(at.id, name),
            Expr::Select(select) => self.select(at, select, present),
            Expr::List(list) => self.list(at.id, list, present),
            Expr::Comprehension(comprehension) => self.comprehension(at.id, comprehension, present),
            Expr::Call(call) => {
                let name = call.func_name.as_str();
                match (call.target.as_deref(), call.args.as_slice()) {
                    (None, [condition, yes, no]) if name == operators::CONDITIONAL => {
                        self.conditional(at.id, [condition, yes, no], present)
                    }
                    (None, [left, right]) if name.starts_with('_') || name == operators::IN => {
                        self.binary(at.id, name, left, right, present)
                    }
                    (None, [inner]) if name == operators::LOGICAL_NOT => {
                        self.not(at.id, inner, present)
                    }
                    (None, [inner]) if name == operators::NEGATE => {
                        self.negate(at.id, inner, present)
                    }
                    (target, arguments) => self.call(at.id, name, target, arguments, present),
                }
            }
            Expr::Map(_) => Err(self.unusable(at.id, "a map")),
            Expr::Struct(_) => Err(self.unusable(at.id, "a message")),
            Expr::Unspecified => Err(self.unusable(at.id, "an empty expression")),
        };
        self.depth -= 1;
        known
    }

    fn unusable(&self, id: u64, what: &str) -> ConditionError {
        self.places
            .at(id, format!("{what} may not be used"), MAY_BE_USED)
    }

    fn literal(&self, id: u64, literal: &'e LiteralValue) -> Checked<'e> {
        match literal {
            LiteralValue::Boolean(_) => Ok(Known::one(Kind::Bool)),
            LiteralValue::Int(number) => Ok(Known::constant(
                Kind::Int,
                Constant::Number(*number.inner()),
            )),
            LiteralValue::String(text) => {
                Ok(Known::constant(Kind::String, Constant::Text(text.inner())))
            }
            LiteralValue::Double(_) => Err(self.places.at(
                id,
                "a decimal number may not be used",
                "write a whole number; amounts are in fen",
            )),
            LiteralValue::UInt(_) => Err(self.places.at(
                id,
                "an unsigned number may not be used",
                "write it without the `u`",
            )),
            LiteralValue::Bytes(_) => {
                Err(self
                    .places
                    .at(id, "bytes may not be used", "write it without the `b`"))
            }
            LiteralValue::Null => Err(self.places.at(
                id,
                "null may not be used",
                "ask `has(event.field)` whether a field is there",
            )),
        }
    }

    fn identifier(&self, id: u64, name: &str) -> Checked<'e> {
        if let Some((_, kind)) = self
            .variables
            .iter()
            .find(|(variable, _)| *variable == name)
        {
            return Ok(Known::one(*kind));
        }
        let root = self.root(id, name)?;
        let mend = self.fields_of(root);
        Err(self
            .places
            .at(id, format!("`{root}` is not a value by itself"), mend))
    }

    fn root(&self, id: u64, name: &str) -> Result<Root, ConditionError> {
        match Root::of(name) {
            Some(root) if self.schema.fields(root).is_some() => Ok(root),
            Some(root) => {
                let message = format!("`{root}` does not exist in a row that needs no entry");
                Err(self.places.at(
                    id,
                    message,
                    "name lists in the row, or ask about event and subject",
                ))
            }
            None => {
                let roots: Vec<&str> = self.schema.roots().map(Root::name).collect();
                let variables = self.variables.iter().map(|(variable, _)| *variable);
                let mend = match nearest(name, roots.iter().copied().chain(variables)) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("conditions ask about {}", roots.join(", ")),
                };
                Err(self.places.at(id, format!("unknown name `{name}`"), mend))
            }
        }
    }

    fn fields_of(&self, root: Root) -> String {
        let names: Vec<&str> = self
            .schema
            .fields(root)
            .unwrap_or_default()
            .iter()
            .map(|f| &*f.name)
            .collect();
        match names.as_slice() {
            [] => format!("`{root}` has no fields here"),
            names => format!("name one of its fields: {}", names.join(", ")),
        }
    }

    fn select(
        &mut self,
        at: &'e IdedExpr,
        select: &'e SelectExpr,
        present: &Present<'e>,
    ) -> Checked<'e> {
        let operand = &*select.operand;
        let root = match &operand.expr {
            Expr::Ident(name) if !self.variables.iter().any(|(variable, _)| variable == name) => {
                self.root(operand.id, name)?
            }
            _ => {
                let of = self.expression(operand, present)?.of;
                let message = format!(
                    "{} has no field `{}`",
                    self.called(operand, of),
                    select.field
                );
                return Err(self.places.at(
                    at.id,
                    message,
                    "fields are written `event.field`, `subject.field` or `entry.field`",
                ));
            }
        };
        let Field { name, ty, optional } = self.field(operand.id, root, &select.field)?;
        self.reads.insert((root, Arc::clone(name)));
        if select.test {
            if !optional {
                let message = format!("`{root}.{name}` is always there");
                return Err(self.places.at(operand.id, message, "drop the has()"));
            }
            return Ok(Known {
                when_true: Present::from([(root, &**name)]),
                ..Known::one(Kind::Bool)
            });
        }
        if *optional && !present.contains(&(root, &**name)) {
            let message = format!("`{root}.{name}` is optional and read without a guard");
            let mend = format!("write `has({root}.{name}) && …` in front of it");
            return Err(self.places.at(operand.id, message, mend));
        }
        Ok(Known::of(Of::from(*ty)))
    }

    fn field(&self, id: u64, root: Root, name: &str) -> Result<&'e Field, ConditionError> {
        let fields = self.schema.fields(root).unwrap_or_default();
        if let Some(field) = fields.iter().find(|field| &*field.name == name) {
            return Ok(field);
        }
        let mend = match nearest(name, fields.iter().map(|field| &*field.name)) {
            Some(near) => format!("did you mean `{root}.{near}`?"),
            None => self.fields_of(root),
        };
        Err(self
            .places
            .at(id, format!("unknown field `{root}.{name}`"), mend))
    }

    fn list(&mut self, id: u64, list: &'e ListExpr, present: &Present<'e>) -> Checked<'e> {
        let mut of: Option<Of> = None;
        for element in &list.elements {
            let known = self.expression(element, present)?;
            if let Some(first) = of
                && first != known.of
            {
                let message = format!("{} in {}", known.of.article(), listed(first));
                return Err(self.places.at(
                    start(element),
                    message,
                    "a list holds values of one type",
                ));
            }
            of = Some(known.of);
        }
        match of {
            Some(Of::One(kind)) => Ok(Known::of(Of::List(kind))),
            Some(Of::List(_)) => Err(self.places.at(
                id,
                "a list of lists may not be used",
                "a list holds single values",
            )),
            None => Err(self
                .places
                .at(id, "an empty list", "name the values it should hold")),
        }
    }

    fn conditional(
        &mut self,
        id: u64,
        [condition, yes, no]: [&'e IdedExpr; 3],
        present: &Present<'e>,
    ) -> Checked<'e> {
        let asked = self.bool(condition, "?:", present)?;
        let yes_known = self.expression(yes, &union(present, &asked.when_true))?;
        let no_known = self.expression(no, &union(present, &asked.when_false))?;
        let of = self.alike(id, "?:", (yes, &yes_known), (no, &no_known))?;
        let sides = |yes: &Present<'e>, no: &Present<'e>| {
            intersection(&union(&asked.when_true, yes), &union(&asked.when_false, no))
        };
        Ok(Known {
            of,
            constant: None,
            when_true: sides(&yes_known.when_true, &no_known.when_true),
            when_false: sides(&yes_known.when_false, &no_known.when_false),
        })
    }

    fn not(&mut self, id: u64, inner: &'e IdedExpr, present: &Present<'e>) -> Checked<'e> {
        let known = self.expression(inner, present)?;
        match known.of {
            Of::One(Kind::Bool) => Ok(Known {
                when_true: known.when_false,
                when_false: known.when_true,
                ..Known::one(Kind::Bool)
            }),
            of => {
                let message = format!(
                    "`!` takes a bool, but {} is {}",
                    self.named(inner),
                    of.article()
                );
                Err(self.places.at(id, message, "compare it first"))
            }
        }
    }

    fn negate(&mut self, id: u64, inner: &'e IdedExpr, present: &Present<'e>) -> Checked<'e> {
        let known = self.int(inner, "-", present)?;
        let Some(number) = known.number() else {
            return Ok(Known::one(Kind::Int));
        };
        self.calculated(id, number.checked_neg())
    }

    fn binary(
        &mut self,
        id: u64,
        operator: &'e str,
        left: &'e IdedExpr,
        right: &'e IdedExpr,
        present: &Present<'e>,
    ) -> Checked<'e> {
        let sign = operator.trim_matches(['_', '@']);
        match operator {
            operators::LOGICAL_AND => {
                let a = self.bool(left, sign, present)?;
                let b = self.bool(right, sign, &union(present, &a.when_true))?;
                Ok(Known {
                    when_true: union(&a.when_true, &b.when_true),
                    when_false: intersection(&a.when_false, &union(&a.when_true, &b.when_false)),
                    ..Known::one(Kind::Bool)
                })
            }
            operators::LOGICAL_OR => {
                let a = self.bool(left, sign, present)?;
                let b = self.bool(right, sign, &union(present, &a.when_false))?;
                Ok(Known {
                    when_true: intersection(&a.when_true, &union(&a.when_false, &b.when_true)),
                    when_false: union(&a.when_false, &b.when_false),
                    ..Known::one(Kind::Bool)
                })
            }
            operators::EQUALS | operators::NOT_EQUALS => {
                let (a, b) = (
                    self.expression(left, present)?,
                    self.expression(right, present)?,
                );
                match self.alike(id, sign, (left, &a), (right, &b))? {
                    Of::One(_) => Ok(Known::one(Kind::Bool)),
                    Of::List(_) => {
                        let message = format!("`{sign}` does not compare lists");
                        Err(self
                            .places
                            .at(id, message, "use in, size(), all() or exists()"))
                    }
                }
            }
            operators::LESS
            | operators::LESS_EQUALS
            | operators::GREATER
            | operators::GREATER_EQUALS => {
                let (a, b) = (
                    self.expression(left, present)?,
                    self.expression(right, present)?,
                );
                match self.alike(id, sign, (left, &a), (right, &b))? {
                    Of::One(Kind::Int | Kind::Date | Kind::String) => Ok(Known::one(Kind::Bool)),
                    of @ (Of::One(Kind::Bool) | Of::List(_)) => {
                        let what = if of == Of::One(Kind::Bool) {
                            "bools"
                        } else {
                            "lists"
                        };
                        let message = format!("`{sign}` does not compare {what}");
                        Err(self
                            .places
                            .at(id, message, "use it for ints, dates and strings"))
                    }
                }
            }
            operators::IN => self.is_in(id, left, right, present),
            operators::ADD | operators::SUBSTRACT | operators::MULTIPLY => {
                let (a, b) = (
                    self.int(left, sign, present)?,
                    self.int(right, sign, present)?,
                );
                let (Some(a), Some(b)) = (a.number(), b.number()) else {
                    return Ok(Known::one(Kind::Int));
                };
                self.calculated(
                    id,
                    match operator {
                        operators::ADD => a.checked_add(b),
                        operators::SUBSTRACT => a.checked_sub(b),
                        _ => a.checked_mul(b),
                    },
                )
            }
            operators::DIVIDE | operators::MODULO => {
                let (a, b) = (
                    self.int(left, sign, present)?,
                    self.int(right, sign, present)?,
                );
                // A divisor that is read from a record could be zero, and only at run time.
                let Some(divisor) = b.number() else {
                    let message = format!("{} may be zero", self.named(right));
                    return Err(self.places.at(start(right), message, "divide by a literal"));
                };
                if divisor == 0 {
                    return Err(self.places.at(
                        start(right),
                        "division by zero",
                        "divide by another number",
                    ));
                }
                let Some(a) = a.number() else {
                    return Ok(Known::one(Kind::Int));
                };
                self.calculated(
                    id,
                    match operator {
                        operators::DIVIDE => a.checked_div(divisor),
                        _ => a.checked_rem(divisor),
                    },
                )
            }
            operators::INDEX | operators::OPT_INDEX => Err(self.index(id, left, right)),
            _ => Err(self.unusable(id, "this operator")),
        }
    }

    fn calculated(&self, id: u64, number: Option<i64>) -> Checked<'e> {
        match number {
            Some(number) => Ok(Known::constant(Kind::Int, Constant::Number(number))),
            None => Err(self
                .places
                .at(id, "this calculation overflows", "keep it within 64 bits")),
        }
    }

    fn index(&self, id: u64, left: &IdedExpr, right: &IdedExpr) -> ConditionError {
        let mend = match (&left.expr, &right.expr) {
            (Expr::Ident(root), Expr::Literal(LiteralValue::String(key))) => {
                format!("write `{root}.{}`", key.inner())
            }
            (Expr::Ident(_), _) => "write the field's name, such as `event.field`".to_owned(),
            _ => "use in, all() or exists() to look into a list".to_owned(),
        };
        self.places
            .at(id, "`[…]` may not be used to look something up", mend)
    }

    fn is_in(
        &mut self,
        id: u64,
        left: &'e IdedExpr,
        right: &'e IdedExpr,
        present: &Present<'e>,
    ) -> Checked<'e> {
        let wanted = self.expression(left, present)?;
        let Of::One(kind) = wanted.of else {
            let message = format!(
                "`in` looks for a single value, but {} is {}",
                self.named(left),
                wanted.of.article()
            );
            return Err(self.places.at(
                start(left),
                message,
                "use all() or exists() to compare two lists",
            ));
        };
        // Each literal is compared by itself, so that a date among them is checked as a date.
        if let Expr::List(list) = &right.expr
            && kind == Kind::Date
        {
            for element in &list.elements {
                let known = self.expression(element, present)?;
                self.alike(element.id, "in", (left, &wanted), (element, &known))?;
            }
            if !list.elements.is_empty() {
                return Ok(Known::one(Kind::Bool));
            }
        }
        match self.expression(right, present)?.of {
            Of::List(held) if held == kind => Ok(Known::one(Kind::Bool)),
            of @ Of::List(_) => {
                let message = format!("`in` looks for {} in {}", wanted.of.article(), of.article());
                Err(self.places.at(id, message, "both must have the same type"))
            }
            of => {
                let message = format!(
                    "`in` looks into a list, but {} is {}",
                    self.named(right),
                    of.article()
                );
                Err(self.places.at(
                    start(right),
                    message,
                    "write a list, or use contains() for a part of a string",
                ))
            }
        }
    }

    fn call(
        &mut self,
        id: u64,
        name: &str,
        target: Option<&'e IdedExpr>,
        arguments: &'e [IdedExpr],
        present: &Present<'e>,
    ) -> Checked<'e> {
        match (name, target, arguments) {
            ("size", Some(of), []) | ("size", None, [of]) => match self.expression(of, present)?.of
            {
                Of::One(Kind::String) | Of::List(_) => Ok(Known::one(Kind::Int)),
                found => {
                    let message = format!(
                        "size() takes a string or a list, but {} is {}",
                        self.named(of),
                        found.article()
                    );
                    Err(self.places.at_call(id, message, "leave size() away"))
                }
            },
            ("startsWith" | "endsWith" | "contains", Some(of), [part]) => {
                for side in [of, part] {
                    let found = self.expression(side, present)?.of;
                    if found != Of::One(Kind::String) {
                        let message = format!(
                            "{name}() takes strings, but {} is {}",
                            self.named(side),
                            found.article()
                        );
                        let mend = match found {
                            Of::One(Kind::Date) => "compare dates with < <= > >=",
                            Of::List(_) => "use in, all() or exists() for a list",
                            Of::One(_) => "compare it with ==",
                        };
                        return Err(self.places.at_call(id, message, mend));
                    }
                }
                Ok(Known::one(Kind::Bool))
            }
            ("matches", ..) => {
                let mend = "use startsWith(), endsWith() or contains()";
                Err(self.places.at_call(
                    id,
                    "matches() may not be used: conditions have no regular expressions",
                    mend,
                ))
            }
            _ => Err(self.unknown_call(id, name)),
        }
    }

    fn unknown_call(&self, id: u64, name: &str) -> ConditionError {
        let written = match name {
            "size" => Some("`size(event.field)`"),
            "startsWith" | "endsWith" | "contains" => {
                Some("`event.field.startsWith('…')`, also endsWith and contains")
            }
            "has" => Some("`has(event.field)`"),
            "all" | "exists" => Some("`event.field.all(one, one == '…')`, also exists"),
            _ => None,
        };
        if let Some(written) = written {
            return self.places.at_call(
                id,
                format!("{name}() is written in another way"),
                format!("write {written}"),
            );
        }
        let mend = match nearest(name, FUNCTIONS) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!(
                "conditions have {}",
                FUNCTIONS.map(|function| format!("{function}()")).join(", ")
            ),
        };
        self.places
            .at_call(id, format!("unknown function `{name}`"), mend)
    }

    /// `list.all(variable, body)` and `list.exists(variable, body)`, as the parser spells them out.
    fn comprehension(
        &mut self,
        id: u64,
        comprehension: &'e ComprehensionExpr,
        present: &Present<'e>,
    ) -> Checked<'e> {
        let name = self.places.called(id);
        let Some(body) = body_of(comprehension, name) else {
            return Err(self.places.at_call(
                id,
                format!("{name}() may not be used"),
                "use all() or exists()",
            ));
        };
        let kind = match self.expression(&comprehension.iter_range, present)?.of {
            Of::List(kind) => kind,
            of => {
                let message = format!(
                    "{name}() takes a list, but {} is {}",
                    self.named(&comprehension.iter_range),
                    of.article()
                );
                return Err(self
                    .places
                    .at_call(id, message, "ask about the value itself"));
            }
        };
        let variable = comprehension.iter_var.as_str();
        let taken = self.variables.iter().any(|(known, _)| *known == variable);
        if taken || Root::of(variable).is_some() || variable.starts_with('.') {
            let message = format!("`{variable}` cannot be a variable of {name}()");
            return Err(self
                .places
                .at_call(id, message, "give it a name of its own"));
        }
        self.variables.push((variable, kind));
        let known = self.bool(body, name, present);
        self.variables.pop();
        // The list may be empty, so nothing that holds inside is known outside.
        known.map(|_| Known::one(Kind::Bool))
    }

    fn bool(&mut self, at: &'e IdedExpr, operator: &str, present: &Present<'e>) -> Checked<'e> {
        let known = self.expression(at, present)?;
        match known.of {
            Of::One(Kind::Bool) => Ok(known),
            of => {
                let message = format!(
                    "`{operator}` takes bools, but {} is {}",
                    self.named(at),
                    of.article()
                );
                Err(self.places.at(start(at), message, "compare it first"))
            }
        }
    }

    fn int(&mut self, at: &'e IdedExpr, operator: &str, present: &Present<'e>) -> Checked<'e> {
        let known = self.expression(at, present)?;
        match known.of {
            Of::One(Kind::Int) => Ok(known),
            of => {
                let message = format!(
                    "`{operator}` calculates with ints, but {} is {}",
                    self.named(at),
                    of.article()
                );
                Err(self.places.at(start(at), message, "use ints on both sides"))
            }
        }
    }

    /// The common type of two sides, or why they have none.
    fn alike(
        &self,
        id: u64,
        operator: &str,
        (left, a): (&IdedExpr, &Known<'e>),
        (right, b): (&IdedExpr, &Known<'e>),
    ) -> Result<Of, ConditionError> {
        match (a.of, b.of) {
            (a, b) if a == b => Ok(a),
            (Of::One(Kind::Date), Of::One(Kind::String)) => self.date(right, b),
            (Of::One(Kind::String), Of::One(Kind::Date)) => self.date(left, a),
            _ => {
                let message = format!(
                    "`{operator}` takes two values of one type, but {} is {} and {} is {}",
                    self.named(left),
                    a.of.article(),
                    self.named(right),
                    b.of.article(),
                );
                Err(self
                    .places
                    .at(id, message, "use the same type on both sides"))
            }
        }
    }

    fn date(&self, at: &IdedExpr, known: &Known<'e>) -> Result<Of, ConditionError> {
        match known.text() {
            Some(text) if is_date(text) => Ok(Of::One(Kind::Date)),
            Some(text) => Err(self.places.at(
                at.id,
                format!("`'{text}'` is not a date"),
                "write a date as 'YYYY-MM-DD'",
            )),
            None => {
                let message = format!(
                    "{} is a string and cannot be compared with a date",
                    self.named(at)
                );
                Err(self.places.at(
                    start(at),
                    message,
                    "compare dates with dates, or with a literal 'YYYY-MM-DD'",
                ))
            }
        }
    }

    /// How a message calls an expression.
    fn named(&self, at: &IdedExpr) -> String {
        match &at.expr {
            Expr::Ident(name) => format!("`{name}`"),
            Expr::Select(select) if !select.test => match &select.operand.expr {
                Expr::Ident(root) => format!("`{root}.{}`", select.field),
                _ => "the expression".to_owned(),
            },
            Expr::Literal(LiteralValue::String(text)) => format!("`'{}'`", text.inner()),
            Expr::Literal(LiteralValue::Int(number)) => format!("`{}`", number.inner()),
            Expr::Literal(LiteralValue::Boolean(truth)) => format!("`{}`", truth.inner()),
            _ => "the expression".to_owned(),
        }
    }

    fn called(&self, at: &IdedExpr, of: Of) -> String {
        format!("{} is {} and", self.named(at), of.article())
    }
}

/// The body of `all()` or `exists()`, or `None` for any other macro. `name` is how it was written.
fn body_of<'e>(comprehension: &'e ComprehensionExpr, name: &str) -> Option<&'e IdedExpr> {
    let fold = match name {
        "all" => operators::LOGICAL_AND,
        "exists" => operators::LOGICAL_OR,
        _ => return None,
    };
    match &comprehension.loop_step.expr {
        Expr::Call(step) if step.func_name == fold && comprehension.iter_var2.is_none() => {
            match step.args.as_slice() {
                [accumulated, body]
                    if accumulated.expr == Expr::Ident(comprehension.accu_var.clone()) =>
                {
                    Some(body)
                }
                _ => None,
            }
        }
        _ => None,
    }
}

/// The id of the token that an expression begins with, as far as it is a chain of fields and calls.
fn start(at: &IdedExpr) -> u64 {
    let mut at = at;
    loop {
        at = match &at.expr {
            Expr::Select(select) if !select.test => &select.operand,
            Expr::Call(call) => match (&call.target, call.args.first()) {
                (Some(target), _) => target,
                (None, Some(first)) if call.args.len() > 1 => first,
                _ => return at.id,
            },
            _ => return at.id,
        };
    }
}

fn listed(of: Of) -> &'static str {
    match of {
        Of::One(kind) => Of::List(kind).article(),
        Of::List(_) => "a list of lists",
    }
}

/// Whether `text` is a day of the calendar, written `YYYY-MM-DD` and in no other way.
fn is_date(text: &str) -> bool {
    let shaped = text.len() == 10
        && text.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    shaped && text.parse::<jiff::civil::Date>().is_ok()
}

fn union<'e>(a: &Present<'e>, b: &Present<'e>) -> Present<'e> {
    a | b
}

fn intersection<'e>(a: &Present<'e>, b: &Present<'e>) -> Present<'e> {
    a & b
}
