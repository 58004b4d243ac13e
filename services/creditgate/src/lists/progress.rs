//! How far an import is, where somebody watches.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use creditgate_registry::files::Progress;
use indicatif::{ProgressBar, ProgressStyle};

/// How often the bar is drawn anew.
pub const EVERY: Duration = Duration::from_millis(200);

/// A bar on standard error; nothing where that is no terminal.
pub struct Bar {
    bar: Option<ProgressBar>,
    progress: Arc<Progress>,
}

impl Bar {
    /// A bar over the bytes of these files.
    pub fn over(files: &[PathBuf], progress: Arc<Progress>) -> Self {
        let bytes = files
            .iter()
            .filter_map(|file| file.metadata().ok())
            .map(|about| about.len())
            .sum();
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(bytes);
            let style =
                ProgressStyle::with_template("{bar:30} {bytes} of {total_bytes}  {msg}  {elapsed}");
            bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        Self { bar, progress }
    }

    /// Draws it as far as the reading is; `sent`: all rows are, and the service works.
    pub fn draw(&self, sent: bool) {
        let Some(bar) = &self.bar else { return };
        let rows = self.progress.rows.load(Ordering::Relaxed);
        bar.set_position(self.progress.bytes.load(Ordering::Relaxed));
        bar.set_message(if sent {
            format!("{rows} rows sent; the service takes them")
        } else {
            format!("{rows} rows")
        });
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
