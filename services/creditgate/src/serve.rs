//! `creditgate serve`: configuration, telemetry, build, start, wait, drain.

use std::process::ExitCode;

use creditgate_measures::book::{Book, Deployment, SourceFile};
use creditgate_registry::book::{Signature, TrustedKeys};
use creditgate_runtime::clock::Clock;
use creditgate_runtime::config::{
    Config, Overrides, ProcessEnvironment, Sources, unknown_variables,
};
use creditgate_runtime::sealed;
use creditgate_runtime::shutdown;
use creditgate_runtime::telemetry::names::field;
use creditgate_runtime::tls::Tls;
use creditgate_runtime::{errors::Chain, telemetry};

use crate::app::{App, BookFiles, callers, check_roles, keyring, metrics, signing_key, tokens};
use crate::book;
use crate::cli::ServeArgs;
use crate::failure::Failure;

/// Serves until a signal asks it to stop.
pub fn run(args: ServeArgs) -> Result<ExitCode, Failure> {
    if args.example_config {
        say_part!("{}", Config::example());
        return Ok(ExitCode::SUCCESS);
    }
    let config = configure(&args)?;
    if args.dump_config {
        say_part!("{}", config.dump());
        return Ok(ExitCode::SUCCESS);
    }
    let (files, unread) = book_files(&config)?;
    if args.check_config {
        return unread.map_or_else(|| check(&config, &files), Err);
    }
    let clock = Clock::system();
    let metrics = metrics(&clock);
    let telemetry = telemetry::init(&config.telemetry, &metrics)
        .map_err(|error| Failure::new("start logs and traces", error))?;
    for name in unknown_variables(&ProcessEnvironment) {
        tracing::warn!(
            { field::REASON } = name,
            "environment variable is not known"
        );
    }
    if let Some(unread) = unread {
        tracing::error!(
            { field::REASON } = %unread,
            "the book that the configuration names cannot be read; the one that is in the data directory stays in force"
        );
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("creditgate")
        .build()
        .map_err(|error| Failure::new("start the service", error))?;
    let served = runtime.block_on(async {
        let mut signals =
            shutdown::signals().map_err(|error| Failure::new("listen for signals", error))?;
        let app = tokio::select! {
            started = App::start_with(&config, files, clock, metrics) => {
                started.map_err(|error| Failure::new("start the service", error))?
            }
            Some(_) = signals.recv() => {
                tracing::info!("stopping before anything was served");
                return Ok(());
            }
        };
        tracing::info!(
            { field::ADDRESS } = %app.grpc_addr(),
            http = app.http_addr().map(tracing::field::display),
            "serving"
        );
        app.run(signals)
            .await
            .map_err(|error| Failure::new("serve", error))
    });
    // Told once, where the logs go.
    let code = served.map_or_else(
        |failure| {
            tracing::error!({ field::ERROR } = %failure, "ended");
            failure.code()
        },
        |()| ExitCode::SUCCESS,
    );
    telemetry.shutdown(config.shutdown.drain_timeout);
    // A task that hangs must not hold up the end of the process.
    runtime.shutdown_background();
    Ok(code)
}

fn configure(args: &ServeArgs) -> Result<Config, Failure> {
    let overrides = Overrides {
        data_dir: args.data_dir.clone(),
        grpc_addr: args.grpc_addr.clone(),
        http_addr: args.http_addr.clone(),
        roles: args.roles.clone(),
        catalogue_dir: args.catalogue_dir.clone(),
        confirmations: args.confirmations.clone(),
        book: args.book.clone(),
        supplements: args.supplement.clone(),
        trusted_keys: args.trusted_key.clone(),
        keys_file: args.keys_file.clone(),
        kafka: args.kafka.clone(),
        kafka_config: args.kafka_config.clone(),
        kafka_topic_prefix: args.kafka_topic_prefix.clone(),
        log_format: args.log_format.clone(),
        log_filter: args.log_filter.clone(),
        otlp_endpoint: args.otlp_endpoint.clone(),
        ..Overrides::default()
    };
    let sources = Sources {
        file: args.config.clone(),
        environment: &ProcessEnvironment,
        overrides,
    };
    Config::load(sources).map_err(|errors| Failure::plain(errors.to_string()))
}

/// The files of the book and what the deployment says about it. Where a service has run before, files
/// that cannot be read are none, with the reason: it has a good book.
fn book_files(config: &Config) -> Result<(BookFiles, Option<Failure>), Failure> {
    let failed = |error| Failure::new("read the book", error);
    let ((files, signature), unread) = match named_files(config) {
        Ok(read) => (read, None),
        Err(error) if config.data_dir.join("changes").is_dir() => {
            ((Vec::new(), None), Some(failed(error)))
        }
        Err(error) => return Err(failed(error)),
    };
    let files = BookFiles {
        files,
        named: config.book.pack.is_some()
            || config.catalogue_dir.is_some()
            || !config.book.supplements.is_empty(),
        signature,
        trusted_keys: TrustedKeys::load(&config.book.trusted_keys)
            .map_err(|error| Failure::new("read the keys that may sign books", error))?,
        deployment: Deployment {
            confirmations: book::confirmations(&config.confirmations).map_err(failed)?,
            not_connected: config.lists.not_connected.clone(),
            ..Deployment::default()
        },
    };
    Ok((files, unread))
}

/// The files that the configuration names, with their signature.
fn named_files(config: &Config) -> Result<(Vec<SourceFile>, Option<Signature>), book::ReadError> {
    match &config.book.pack {
        Some(pack) => book::source_of(pack),
        None => {
            let dir = config.catalogue_dir.as_deref();
            Ok((book::composed(dir, &config.book.supplements)?, None))
        }
    }
}

/// Checks what a start would read, without starting.
fn check(config: &Config, files: &BookFiles) -> Result<ExitCode, Failure> {
    check_roles(config).map_err(|error| Failure::plain(error.to_string()))?;
    let tokens = tokens(config, &Clock::system())
        .map_err(|error| Failure::plain(Chain(&error).to_string()))?;
    let (loaded, policy) =
        callers(config, tokens).map_err(|error| Failure::plain(Chain(&error).to_string()))?;
    if config.keys_file.is_some() {
        say!("callers: {}", loaded.callers.names().join(", "));
    }
    let mut warnings = loaded.warnings;
    if let Some(issuer) = &config.tokens.issuer {
        say!("tokens: of {issuer}");
    }
    if let Some(tls) = config.tls.files() {
        Tls::load(&tls).map_err(|error| Failure::plain(Chain(&error).to_string()))?;
        say!("TLS: {}", tls.certificate.display());
    }
    if let Some(key) =
        signing_key(config).map_err(|error| Failure::plain(Chain(&error).to_string()))?
    {
        say!("check points: signed with key {}", key.key_id());
    }
    if let Some(keyring) =
        keyring(config).map_err(|error| Failure::plain(Chain(&error).to_string()))?
    {
        say!("journals: sealed with key {}", keyring.active());
        let file = config.sealing.keyring_file.as_deref();
        warnings.extend(file.and_then(sealed::exposure));
    }
    files
        .trusted_keys
        .verify(&Book::content_hash(&files.files), files.signature.as_ref())
        .map_err(|why| Failure::plain(why.to_string()))?;
    let book = Book::load(&files.files, &files.deployment)
        .map_err(|errors| Failure::plain(errors.to_string()))?;
    say!(
        "book: {} {}, {} rows",
        book.name(),
        book.version(),
        book.measures().len()
    );
    warnings.extend(
        policy
            .map(|policy| policy.unknown_to(&book))
            .unwrap_or_default(),
    );
    for warning in warnings {
        eprintln!("warning: {warning}");
    }
    say!("the configuration is sound");
    Ok(ExitCode::SUCCESS)
}
