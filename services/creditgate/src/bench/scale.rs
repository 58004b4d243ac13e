//! `creditgate bench scale`: what twenty million entries cost, in a decision, in memory and at a restart.
//!
//! First the decision alone over lists of growing size ([`index`]), then the whole service with the
//! largest of them ([`service`]). Everything is invented and follows from the seed.

mod book;
mod index;
mod live;
mod service;

use super::report::Row;
use crate::cli::BenchScaleArgs;
use crate::failure::Failure;

/// Sizes of the lists over which a decision is timed.
const SIZES: [u64; 5] = [10_000, 100_000, 1_000_000, 10_000_000, 20_000_000];
const SIZES_QUICK: usize = 3;

/// The name under which its figures stand in a table.
const BENCH: &str = "scale";

/// A figure that was measured once.
fn once(what: impl Into<String>, unit: &str, value: f64) -> Row {
    Row::once(BENCH, what, unit, value)
}

/// Measures.
pub async fn measure(args: &BenchScaleArgs) -> Result<Vec<Row>, Failure> {
    let temporary = tempfile::tempdir().map_err(|error| Failure::new("make a directory", error))?;
    let dir = args.data_dir.as_deref().unwrap_or(temporary.path());
    let most = args.entries.unwrap_or(match args.quick {
        true => 1_000_000,
        false => 20_000_000,
    });
    let mut sizes: Vec<u64> = SIZES.into_iter().filter(|size| *size <= most).collect();
    if args.quick {
        sizes.truncate(SIZES_QUICK);
    }
    let rounds = if args.quick { 5 } else { 11 };
    let mut figures = Vec::new();
    if !args.without_index {
        let dir = dir.join("index");
        std::fs::create_dir_all(&dir).map_err(|error| Failure::new("make a directory", error))?;
        let seed = args.seed;
        let measured = tokio::task::spawn_blocking({
            let dir = dir.clone();
            move || index::measure(&dir, &sizes, rounds, seed)
        });
        figures = measured
            .await
            .map_err(|error| Failure::new("measure the decision", error))??;
        std::fs::remove_dir_all(&dir).map_err(|error| Failure::new("remove a directory", error))?;
    }
    if !args.without_service {
        figures.extend(service::measure(&dir.join("service"), most, args).await?);
    }
    Ok(figures)
}
