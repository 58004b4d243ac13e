//! What a folder is the source of: its `source.yaml`.

use std::path::Path;

use creditgate_proto::v1;
use serde::Deserialize;
use serde_saphyr::Spanned;

use crate::files::{Encoding, Mapping, Options, WrittenMapping};

/// Refused rows that a report names; as many as an import gives.
const REPORTED: u32 = 200_000;

/// How the files of a folder are taken.
#[derive(Debug, Clone)]
pub struct Source {
    header: v1::ImportHeader,
    options: Options,
}

/// The file as people write it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    source_unit: String,
    list: Option<String>,
    #[serde(default)]
    mode: Mode,
    #[serde(default)]
    on_error: OnError,
    /// Lists that the source confirms besides those that its files name.
    #[serde(default)]
    confirm: Vec<String>,
    /// Whether it confirms those.
    confirm_named: Option<bool>,
    mapping: Option<WrittenMapping>,
    mapping_file: Option<Spanned<String>>,
    encoding: Option<Spanned<String>>,
    sheet: Option<String>,
    #[serde(default)]
    ignore_unknown: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Mode {
    #[default]
    Delta,
    Full,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum OnError {
    #[default]
    Hold,
    Skip,
}

impl Source {
    /// Reads a `source.yaml`.
    ///
    /// # Errors
    /// In words, with the line and what to do.
    pub fn load(path: &Path) -> Result<Self, String> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let text = std::fs::read_to_string(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => {
                format!("`{name}` is missing; it says whose files these are, such as `source_unit: 示例法院`")
            }
            _ => format!("`{name}`: {error}"),
        })?;
        let written: Written = serde_saphyr::from_str(&text)
            .map_err(|error| format!("`{name}`: {}", crate::files::yaml_fault(&error)))?;
        written
            .validate(path.parent().unwrap_or(Path::new(".")))
            .map_err(|why| format!("`{name}`: {why}"))
    }

    /// The header of an import of one file, without the time of which the file tells.
    pub fn header(&self) -> v1::ImportHeader {
        self.header.clone()
    }

    /// How a file is read.
    pub fn options(&self) -> Options {
        Options {
            // Each file counts for itself.
            progress: std::sync::Arc::default(),
            ..self.options.clone()
        }
    }
}

impl Written {
    fn validate(self, dir: &Path) -> Result<Source, String> {
        let encoding = match &self.encoding {
            None => None,
            Some(name) => Some(Encoding::parse(&name.value).ok_or_else(|| {
                let line = name.referenced.line();
                format!("line {line}: encoding: known are utf-8, gb18030 (gbk, gb2312), utf-16le, utf-16be")
            })?),
        };
        let mapping = match (self.mapping, &self.mapping_file) {
            (Some(_), Some(file)) => {
                let line = file.referenced.line();
                return Err(format!(
                    "line {line}: give `mapping` or `mapping_file`, not both"
                ));
            }
            (Some(written), None) => Some(
                written
                    .validate::<v1::Entry>()
                    .map_err(|faults| faults.join("; "))?,
            ),
            (None, Some(file)) => {
                let loaded = Mapping::load::<v1::Entry>(&dir.join(&file.value));
                let told = |error| creditgate_runtime::errors::Chain(&error).to_string();
                Some(loaded.map_err(told)?)
            }
            (None, None) => None,
        };
        let options = Options {
            encoding,
            sheet: self.sheet,
            mapped: mapping.is_some(),
            mapping: mapping.unwrap_or_default(),
            ignore_unknown: self.ignore_unknown,
            ..Options::default()
        };
        let header = v1::ImportHeader {
            source_unit: self.source_unit,
            list: self.list.unwrap_or_default(),
            mode: match self.mode {
                Mode::Delta => "delta",
                Mode::Full => "full",
            }
            .to_owned(),
            on_error: match self.on_error {
                OnError::Hold => "hold",
                OnError::Skip => "skip",
            }
            .to_owned(),
            confirm_lists: self.confirm,
            confirm_named_lists: self.confirm_named.unwrap_or(true),
            confirmed_at: None,
            dry_run: false,
            refused_max: REPORTED,
        };
        Ok(Source { header, options })
    }
}
