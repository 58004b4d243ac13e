//! The example file, made from the table of keys so that it cannot go stale.

use super::keys::{Form, KEYS, Key, OTHER_VARIABLES};

/// Width at which the meanings are wrapped.
const WIDTH: usize = 96;

pub(super) fn file() -> String {
    let mut out = String::new();
    comment(
        &mut out,
        "",
        "Configuration of creditgate: every key with its default. A variable of the environment replaces the file, \
         the command line replaces both. Variables that are no key:",
    );
    for (name, meaning) in OTHER_VARIABLES {
        comment(&mut out, "", &format!("{name}: {meaning}."));
    }
    let mut section = "";
    for key in KEYS {
        let (own_section, name) = key.path.split_once('.').unwrap_or(("", key.path));
        out.push('\n');
        if own_section != section {
            out.push_str(&format!("{own_section}:\n"));
            section = own_section;
        }
        let indent = if section.is_empty() { "" } else { "  " };
        comment(&mut out, indent, key.meaning);
        comment(&mut out, indent, &format!("Variable: {}", key.variable));
        out.push_str(&format!("{indent}{name}:{}\n", default(key)));
    }
    out
}

fn default(key: &Key) -> String {
    match key.form {
        Form::One => format!(" {}", key.default),
        Form::Optional if key.default.is_empty() => String::new(),
        Form::Optional => format!(" {}", key.default),
        Form::Many => format!(" [{}]", key.default.replace(',', ", ")),
        Form::Table => " {}".to_owned(),
    }
}

fn comment(out: &mut String, indent: &str, text: &str) {
    let mut line = format!("{indent}#");
    for word in text.split_whitespace() {
        if line.len() + 1 + word.len() > WIDTH {
            out.push_str(&line);
            out.push('\n');
            line = format!("{indent}#");
        }
        line.push(' ');
        line.push_str(word);
    }
    out.push_str(&line);
    out.push('\n');
}
