//! The list of names and codes: read whole before anything is asked, each row made the event that it always is.

use std::io::Read;
use std::ops::ControlFlow;
use std::path::Path;

use creditgate_measures::vocabulary::Role;
use creditgate_proto::{Refused, v1};
use creditgate_registry::files::{self, Encoding, Format, Mapping, Options, Participant, Row};
use creditgate_runtime::errors::Chain;
use sha2::{Digest, Sha256};

use super::mask;
use crate::check::attribute;
use crate::cli::{FileFormat, ScreenArgs};
use crate::failure::Failure;

/// Rows of one list; a table has no place for more than 1,048,575.
const ROWS_MAX: usize = 1_000_000;

/// Characters of a row's own number that a business number takes.
const ROW_ID_CHARS_MAX: usize = 48;

/// Characters of the beginning of the business numbers.
const CASE_CHARS_MAX: usize = 64;

/// Part of what the ids of the events are made from: a change of it makes all lists new events.
const MADE_BY: &str = "creditgate screen 1";

/// A list that was read, and what each of its rows asks.
pub struct Roster {
    /// The rows in their order; those that cannot be read too.
    pub rows: Vec<Row<Participant>>,
    /// Whether the rows come from several files of an archive.
    pub several: bool,
    asked: Asked,
}

/// What every row asks.
struct Asked {
    scenario: String,
    stage: String,
    region: String,
    purpose: String,
    source: String,
    case: String,
    role: String,
    attributes: Vec<(String, pbjson_types::Value)>,
    /// Names list and options; the ids of the events begin with it.
    digest: String,
}

impl Roster {
    /// Reads the list.
    pub fn read(args: &ScreenArgs) -> Result<Self, Failure> {
        let stage = stage(args)?;
        let options = options(args)?;
        let before = digest_of_file(&args.file)?;
        let rows = rows(&args.file, &options)?;
        if digest_of_file(&args.file)? != before {
            return Err(Failure::plain(format!(
                "`{}` was changed while it was read; run the command again",
                args.file.display()
            )));
        }
        if rows.is_empty() {
            return Err(Failure::plain(format!(
                "no row is under the names of the columns in `{}`",
                args.file.display()
            )));
        }
        let several = rows
            .first()
            .zip(rows.last())
            .is_some_and(|(first, last)| first.file != last.file);
        let asked = Asked::of(args, stage, before)?;
        let names_role = |row: &Row<Participant>| {
            let who = row.entry.as_ref().ok();
            who.is_some_and(|who| !who.subject.role.is_empty())
        };
        if asked.role.is_empty() && !rows.iter().any(names_role) {
            return Err(Failure::plain(format!(
                "--role: no row says in which role it is checked; name one of {}, or give the list a column 角色",
                roles()
            )));
        }
        Ok(Self {
            rows,
            several,
            asked,
        })
    }

    /// Names list and options.
    pub fn digest(&self) -> &str {
        &self.asked.digest
    }

    /// The event of a row.
    pub fn event(&self, row: &Row<Participant>, who: &Participant) -> v1::Event {
        let asked = &self.asked;
        let mut subject = who.subject.clone();
        if subject.role.is_empty() {
            subject.role.clone_from(&asked.role);
        }
        v1::Event {
            source: asked.source.clone(),
            id: format!("{}-{}", asked.digest, row.number),
            case_id: format!("{}-{}", asked.case, case_part(who, row.number)),
            scenario: asked.scenario.clone(),
            stage: asked.stage.clone(),
            region: asked.region.clone(),
            purpose: asked.purpose.clone(),
            subjects: vec![subject],
            attributes: asked.attributes.iter().cloned().collect(),
            ..v1::Event::default()
        }
    }

    /// Rows that cannot be asked about.
    pub fn refused(&self) -> impl Iterator<Item = (&Row<Participant>, &Refused)> {
        self.rows
            .iter()
            .filter_map(|row| row.entry.as_ref().err().map(|why| (row, why)))
    }
}

impl Asked {
    fn of(args: &ScreenArgs, stage: String, file: [u8; 32]) -> Result<Self, Failure> {
        let role = match (&args.role, args.scenario.as_str()) {
            (Some(role), _) => Role::parse(role)
                .ok_or_else(|| Failure::plain(format!("--role: known are {}", roles())))?
                .code()
                .to_owned(),
            (None, "honour" | "appointment") => "candidate".to_owned(),
            (None, _) => String::new(),
        };
        let attributes: Vec<_> = args
            .attribute
            .iter()
            .map(|text| attribute(text))
            .collect::<Result<_, _>>()?;
        let mapping = match &args.mapping {
            None => Vec::new(),
            Some(path) => std::fs::read(path).map_err(|error| {
                Failure::new(format!("read the mapping file `{}`", path.display()), error)
            })?,
        };
        let mut digest = Sha256::new();
        let mut add = |part: &[u8]| {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        };
        add(MADE_BY.as_bytes());
        add(&file);
        add(&mapping);
        let reading = format!("{:?} {:?} {:?}", args.sheet, args.encoding, args.format);
        for part in [
            &reading,
            &args.scenario,
            &stage,
            &args.region,
            &args.purpose,
            &args.source,
            &role,
            args.case.as_ref().unwrap_or(&String::new()),
        ] {
            add(part.as_bytes());
        }
        for text in &args.attribute {
            add(text.as_bytes());
        }
        let digest: String = digest
            .finalize()
            .iter()
            .take(16)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let case = match &args.case {
            Some(case) => case.clone(),
            None => format!("screen-{}", digest.get(..12).unwrap_or_default()),
        };
        if case.trim().is_empty() || case.chars().count() > CASE_CHARS_MAX {
            let rule = format!("--case: 1 to {CASE_CHARS_MAX} characters");
            return Err(Failure::plain(rule));
        }
        if args.purpose.trim().is_empty() {
            return Err(Failure::plain(
                "--purpose: say why the list is checked, such as 评优审核",
            ));
        }
        Ok(Self {
            scenario: args.scenario.clone(),
            stage,
            region: args.region.clone(),
            purpose: args.purpose.clone(),
            source: args.source.clone(),
            case,
            role,
            attributes,
            digest,
        })
    }
}

fn roles() -> String {
    let codes: Vec<&str> = Role::ALL.iter().map(|role| role.code()).collect();
    codes.join(", ")
}

/// The row's part of its business number: its own number, unless that is somebody's.
fn case_part(who: &Participant, number: u64) -> String {
    let own = who.row_id.as_str();
    let plain = !own.is_empty()
        && own.chars().count() <= ROW_ID_CHARS_MAX
        && !own.chars().any(char::is_control)
        && mask::label(own) == own;
    match plain {
        true => own.to_owned(),
        false => format!("L{number}"),
    }
}

fn stage(args: &ScreenArgs) -> Result<String, Failure> {
    match (&args.stage, args.scenario.as_str()) {
        (Some(stage), _) => Ok(stage.clone()),
        (None, "honour") => Ok("screen".to_owned()),
        (None, "appointment") => Ok("qualify".to_owned()),
        (None, other) => Err(Failure::plain(format!(
            "--stage: name the stage of `{other}` at which the list is checked"
        ))),
    }
}

fn options(args: &ScreenArgs) -> Result<Options, Failure> {
    let encoding = args.encoding.as_deref().map(|name| {
        Encoding::parse(name).ok_or_else(|| {
            Failure::plain("--encoding: known are utf-8, gb18030 (gbk, gb2312), utf-16le, utf-16be")
        })
    });
    let mapping = args
        .mapping
        .as_deref()
        .map(Mapping::load::<Participant>)
        .transpose();
    let mapping = mapping.map_err(|error| Failure::plain(Chain(&error).to_string()))?;
    Ok(Options {
        format: args.format.map(|format| match format {
            FileFormat::Csv => Format::Table,
            FileFormat::Jsonl => Format::JsonLines,
        }),
        encoding: encoding.transpose()?,
        sheet: args.sheet.clone(),
        mapped: mapping.is_some(),
        mapping: mapping.unwrap_or_default(),
        ignore_unknown: args.ignore_unknown,
        ..Options::default()
    })
}

fn rows(file: &Path, options: &Options) -> Result<Vec<Row<Participant>>, Failure> {
    let mut rows = Vec::new();
    let mut on_row = |row| {
        rows.push(row);
        match rows.len() > ROWS_MAX {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    };
    let mut on_note = |file: &str, note: files::Note| note!("{file}: {note}");
    files::read(&[file.to_owned()], options, &mut on_row, &mut on_note)
        .map_err(|error| Failure::plain(Chain(&error).to_string()))?;
    if rows.len() > ROWS_MAX {
        let told = format!(
            "more than {ROWS_MAX} rows in `{}`; split it",
            file.display()
        );
        return Err(Failure::plain(told));
    }
    Ok(rows)
}

fn digest_of_file(path: &Path) -> Result<[u8; 32], Failure> {
    let read = || {
        let mut file = std::fs::File::open(path)?;
        let mut digest = Sha256::new();
        let mut buffer = vec![0; 256 << 10];
        loop {
            let read = file.read(&mut buffer)?;
            let Some(block) = buffer.get(..read).filter(|block| !block.is_empty()) else {
                return Ok(digest.finalize().into());
            };
            digest.update(block);
        }
    };
    read()
        .map_err(|error: std::io::Error| Failure::new(format!("read `{}`", path.display()), error))
}
