//! Standard output: a reader that has gone ends the command, and is no failure.

use std::io::Write;

/// Exit code of a command whose output did not get through.
const UNWRITTEN: i32 = 2;

/// Writes to standard output at once. A full disk is told and is a failure: half a table is none.
pub fn write(text: std::fmt::Arguments<'_>) {
    let mut out = std::io::stdout().lock();
    match out.write_fmt(text).and_then(|()| out.flush()) {
        Ok(()) => {}
        // Nobody is left to tell anything to; what the service had to keep, it has kept.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        Err(error) => {
            note(format_args!("creditgate: write the output: {error}\n"));
            std::process::exit(UNWRITTEN);
        }
    }
}

/// Writes to standard error; when that cannot be written either, there is nobody to tell.
pub fn note(text: std::fmt::Arguments<'_>) {
    let mut out = std::io::stderr().lock();
    let _ = out.write_fmt(text).and_then(|()| out.flush());
}
