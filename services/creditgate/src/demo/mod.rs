//! `creditgate demo`: the whole service in one process, with invented lists and procedures.
//!
//! Every event goes two ways: over gRPC, and through Kafka's topics on a broker inside this process.

mod kafka;
mod live;
mod rows;
mod script;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use creditgate_measures::book::{Book, Deployment, SourceFile};
use creditgate_registry::book::{Signature, TrustedKeys};
use creditgate_runtime::clock::Clock;
use creditgate_runtime::config::{Config, Overrides, Sources};
use creditgate_runtime::signing;

use crate::app::{App, BookFiles};
use crate::book;
use crate::cli::DemoArgs;
use crate::client::Client;
use crate::failure::Failure;
use kafka::KafkaWay;

/// Confirmations of inactive rows, invented for the demonstration.
const CONFIRMATIONS: &str = include_str!("../../demo/confirmations.yaml");

/// Runs the demonstration until it ends or somebody stops it.
pub fn run(args: DemoArgs) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new("start the demonstration", error))?;
    runtime.block_on(play(args))
}

async fn play(args: DemoArgs) -> Result<ExitCode, Failure> {
    let dir = tempfile::tempdir().map_err(|error| Failure::new("make a directory", error))?;
    let (clock, hand) = if args.once {
        let (clock, hand) = Clock::stepped(script::begins_at()?.micros());
        (clock, Some(hand))
    } else {
        (Clock::system(), None)
    };
    let config = config(dir.path())?;
    let files = book::files(args.catalogue_dir.as_deref())
        .map_err(|error| Failure::new("read the book", error))?;
    let files = signed(files, dir.path())?;
    let app = App::start(&config, files, clock.clone())
        .await
        .map_err(|error| Failure::new("start the service", error))?;
    let mut client = Client::to(&format!("http://{}", app.grpc_addr()), None).await?;
    say!("creditgate demo: everything shown here is invented (以下内容均为虚构).");
    say!("gRPC on {}", app.grpc_addr());
    if let Some(http) = app.http_addr() {
        say!("HTTP on http://{http}");
    }

    let mut kafka =
        KafkaWay::start(&app, &clock, config.kafka.clone(), dir.path().join("kafka")).await?;

    let done = match hand {
        Some(hand) => script::play(&mut client, &mut kafka, &hand).await,
        None => {
            tokio::select! {
                done = live::play(&mut client, &mut kafka, &clock, args.rate, args.seconds) => done,
                _ = tokio::signal::ctrl_c() => Ok(ExitCode::SUCCESS),
            }
        }
    };
    drop(client);
    // It judges by the lists of the service, and so ends before it.
    let closed = kafka.close().await;
    let stopped = app.stop(Duration::from_secs(10)).await;
    let code = done?;
    closed?;
    stopped.map_err(|error| Failure::new("stop the service", error))?;
    Ok(code)
}

/// The book, signed with a key of this demonstration alone.
fn signed(files: Vec<SourceFile>, dir: &std::path::Path) -> Result<BookFiles, Failure> {
    let unmade = |error| Failure::new("sign the book", error);
    let made = signing::generate().map_err(unmade)?;
    let [private, public] = ["key.pem", "key.pub.pem"].map(|name| dir.join(name));
    for (path, text) in [(&private, made.private_pem), (&public, made.public_pem)] {
        std::fs::write(path, text).map_err(|error| Failure::new("write a key", error))?;
    }
    let key = signing::SigningKey::load(&private).map_err(unmade)?;
    Ok(BookFiles {
        named: true,
        signature: Some(Signature::of(&Book::content_hash(&files), &key)),
        trusted_keys: TrustedKeys::load(&[public]).map_err(unmade)?,
        files,
        deployment: Deployment {
            confirmations: vec![SourceFile::new("demo/confirmations.yaml", CONFIRMATIONS)],
            ..Deployment::default()
        },
    })
}

fn config(dir: &std::path::Path) -> Result<Config, Failure> {
    let nothing: BTreeMap<String, String> = BTreeMap::new();
    let overrides = Overrides {
        data_dir: Some(dir.display().to_string()),
        grpc_addr: Some("127.0.0.1:0".to_owned()),
        http_addr: Some("127.0.0.1:0".to_owned()),
        ..Overrides::default()
    };
    Config::load(Sources {
        file: None,
        environment: &nothing,
        overrides,
    })
    .map_err(|errors| Failure::new("configure the demonstration", errors.to_string()))
}
