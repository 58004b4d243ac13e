//! `measures schema`: the forms of a book's files as JSON Schema.

use std::path::Path;
use std::process::ExitCode;

use creditgate_measures::book::form::{FORMS, Form};

use crate::cli::SchemaArgs;
use crate::failure::Failure;

/// Prints a schema or the forms there are, or writes a file for each.
pub fn schema(args: &SchemaArgs) -> Result<ExitCode, Failure> {
    match (&args.out, &args.form) {
        (Some(dir), _) => write(dir)?,
        (None, Some(name)) => {
            let form = Form::named(name).ok_or_else(|| unknown(name))?;
            say_part!("{}", form.schema());
        }
        (None, None) => {
            for form in FORMS {
                say!("{:<14} {}", form.name, form.files.join(", "));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn unknown(name: &str) -> Failure {
    let known: Vec<&str> = FORMS.iter().map(|form| form.name).collect();
    Failure::plain(format!(
        "no form `{name}`; write one of {}",
        known.join(", ")
    ))
}

fn write(dir: &Path) -> Result<(), Failure> {
    let failed = |path: &Path, error| Failure::new(format!("write `{}`", path.display()), error);
    std::fs::create_dir_all(dir).map_err(|error| failed(dir, error))?;
    for form in FORMS {
        let path = dir.join(form.file_name());
        std::fs::write(&path, form.schema()).map_err(|error| failed(&path, error))?;
        say!("wrote {}", path.display());
    }
    Ok(())
}
