//! Standard output: a reader that has gone ends the command, and is no failure.

use std::io::Write;

/// Writes to standard output at once.
pub fn write(text: std::fmt::Arguments<'_>) {
    let mut out = std::io::stdout().lock();
    if out.write_fmt(text).and_then(|()| out.flush()).is_err() {
        // Nobody is left to tell anything to; what the service had to keep, it has kept.
        std::process::exit(0);
    }
}
