//! `creditgate-peers`: runs the comparison; `run.sh` builds and finds what it needs.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use creditgate_measures::time::Time;
use creditgate_peers::inside::{self, Fault};
use creditgate_peers::service;
use creditgate_peers::world::World;

// The product's allocator, for every engine in this process.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What everything invented follows from, unless `--seed` says otherwise.
const SEED: u64 = 20_261_122;

const HELP: &str = "creditgate-peers [--quick] [--part inside|service] [--entries N] [--equal N] [--seed N] [--rows N] \
    [--peers cerbos,opa-embedded,opa-server] --creditgate FILE --cerbos FILE --opa FILE --dir DIR";

/// What was asked for.
struct Asked {
    quick: bool,
    part: Option<String>,
    entries: u64,
    equal: u64,
    seed: u64,
    rows: usize,
    peers: Vec<String>,
    creditgate: PathBuf,
    cerbos: PathBuf,
    opa: PathBuf,
    dir: PathBuf,
}

fn split(list: &str) -> Vec<String> {
    list.split(',').map(str::to_owned).collect()
}

fn asked() -> Result<Asked, Fault> {
    let mut asked = Asked {
        quick: false,
        part: None,
        entries: 1_000_000,
        equal: 100_000,
        seed: SEED,
        rows: 75,
        peers: split("cerbos,opa-embedded,opa-server"),
        creditgate: PathBuf::new(),
        cerbos: PathBuf::new(),
        opa: PathBuf::new(),
        dir: PathBuf::new(),
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        if word == "--quick" {
            asked.quick = true;
            continue;
        }
        let value = words
            .next()
            .ok_or_else(|| format!("`{word}` wants a value: {HELP}"))?;
        match word.as_str() {
            "--part" => asked.part = Some(value),
            "--entries" => asked.entries = value.parse()?,
            "--equal" => asked.equal = value.parse()?,
            "--seed" => asked.seed = value.parse()?,
            "--rows" => asked.rows = value.parse()?,
            "--peers" => asked.peers = split(&value),
            "--creditgate" => asked.creditgate = value.into(),
            "--cerbos" => asked.cerbos = value.into(),
            "--opa" => asked.opa = value.into(),
            "--dir" => asked.dir = value.into(),
            _ => return Err(format!("unknown `{word}`: {HELP}").into()),
        }
    }
    Ok(asked)
}

fn run() -> Result<(), Fault> {
    let asked = asked()?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let now = Time::from_micros(i64::try_from(now.as_micros())?);
    let world = World::with_entries(asked.entries, asked.seed, now.date());
    println!(
        "seed {}, {}, {} listed parties",
        asked.seed,
        now.date(),
        world.listed
    );
    let wanted = |part: &str| asked.part.as_deref().is_none_or(|only| only == part);
    if wanted("inside") {
        let plan = inside::run::Plan {
            equal: asked.equal,
            rounds: if asked.quick { 5 } else { 15 },
            steps: if asked.quick { 10_000 } else { 30_000 },
        };
        inside::run::run(&world, now, &[asked.rows, 5_000], plan)?;
    }
    if wanted("service") {
        let plan = service::run::Plan {
            equal: asked.equal,
            rounds: if asked.quick { 3 } else { 7 },
            time: Duration::from_secs(if asked.quick { 2 } else { 6 }),
            rows: asked.rows,
            peers: asked.peers,
            creditgate: asked.creditgate,
            cerbos: asked.cerbos,
            opa: asked.opa,
            dir: asked.dir,
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?;
        runtime.block_on(service::run::run(&world, &plan))?;
    }
    Ok(())
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("peers: {fault}");
            ExitCode::FAILURE
        }
    }
}
