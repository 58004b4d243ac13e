//! What is shipped in `deploy/`, held against the binary and the tree; no container engine is needed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use creditgate_runtime::kafka::Topic;
use creditgate_tests::{Service, root, run};
use serde_json::Value;

/// Compose files, each with those that it is laid over.
const COMPOSE: [&[&str]; 2] = [&["compose.yaml"], &["compose.yaml", "compose.cluster.yaml"]];

fn deploy() -> PathBuf {
    root().join("deploy")
}

fn text(name: &str) -> String {
    let path = deploy().join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn yaml(name: &str) -> Value {
    serde_saphyr::from_str(&text(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The entries of a table; none where there is none.
fn table(value: &Value) -> Vec<(&str, &Value)> {
    value.as_object().map_or_else(Vec::new, |entries| {
        entries
            .iter()
            .map(|(name, value)| (name.as_str(), value))
            .collect()
    })
}

/// The texts of a list; a single text is a list of one, as compose has it.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(one) => vec![one],
        Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn names(value: &Value) -> BTreeSet<&str> {
    table(value).into_iter().map(|(name, _)| name).collect()
}

/// Standard output of the binary; it must succeed.
fn told(args: &[&str]) -> String {
    let output = run(args, "");
    assert!(
        output.status.success(),
        "creditgate {}: {}",
        args.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("text")
}

fn example_config() -> &'static str {
    static EXAMPLE: OnceLock<String> = OnceLock::new();
    EXAMPLE.get_or_init(|| told(&["serve", "--example-config"]))
}

fn yaml_of(text: &str) -> Value {
    serde_saphyr::from_str(text).expect("YAML")
}

/// The services of compose files laid one over the other: tables entry by entry, everything else as a whole.
fn services(files: &[&str]) -> BTreeMap<String, Value> {
    let mut merged: BTreeMap<String, Value> = BTreeMap::new();
    for file in files {
        for (name, service) in table(&yaml(file)["services"]) {
            let mut service = service.clone();
            if let Some(base) = service["extends"]["service"].as_str() {
                let mut extended =
                    yaml(service["extends"]["file"].as_str().unwrap_or(file))["services"][base]
                        .clone();
                lay(&mut extended, &service);
                service = extended;
            }
            match merged.get_mut(name) {
                Some(known) => lay(known, &service),
                None => {
                    merged.insert(name.to_owned(), service);
                }
            }
        }
    }
    merged
}

fn lay(under: &mut Value, over: &Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            for (name, value) in over {
                lay(under.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
        (under, over) => *under = over.clone(),
    }
}

fn is_creditgate(service: &Value) -> bool {
    service["image"]
        .as_str()
        .is_some_and(|image| image.starts_with("creditgate:"))
}

/// The lines of the Containerfile as instruction and rest, continuations joined, comments left out.
fn instructions() -> Vec<(String, String)> {
    let text = text("Containerfile");
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .collect();
    let whole = lines.join("\n").replace("\\\n", " ");
    whole
        .lines()
        .filter_map(|line| line.trim().split_once(char::is_whitespace))
        .map(|(word, rest)| (word.to_owned(), rest.trim().to_owned()))
        .collect()
}

fn arguments(instruction: &str) -> Vec<String> {
    instructions()
        .into_iter()
        .filter(|(word, _)| word == instruction)
        .map(|(_, rest)| rest)
        .collect()
}

#[test]
fn every_image_has_an_exact_version() {
    let exact = |image: &str| {
        let tag = image.rsplit_once(':').map_or("", |(_, tag)| tag);
        let version = tag.split('-').next().unwrap_or_default();
        let numbers: Vec<&str> = version.split('.').collect();
        numbers.len() >= 2 && numbers.iter().all(|number| number.parse::<u32>().is_ok())
    };
    assert!(exact("debian:13.5-slim") && !exact("debian:trixie-slim") && !exact("postgres:18"));
    let mut images: Vec<String> = arguments("FROM")
        .iter()
        .filter_map(|rest| rest.split_whitespace().next().map(str::to_owned))
        .collect();
    for files in COMPOSE {
        for (name, service) in services(files) {
            let image = service["image"]
                .as_str()
                .unwrap_or_else(|| panic!("{name} has no image"));
            images.push(image.to_owned());
        }
    }
    for image in images {
        assert!(exact(&image), "`{image}` may be another image tomorrow");
    }
}

#[test]
fn our_image_bears_the_version_of_the_workspace_and_is_built_by_its_compiler() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).expect("the manifest");
    let field = |name: &str| {
        let line = manifest
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{name} = ")));
        line.expect("a field of the manifest")
            .trim_matches('"')
            .to_owned()
    };
    let image = format!("creditgate:{}", field("version"));
    for (name, service) in services(COMPOSE[0]) {
        if is_creditgate(&service) {
            assert_eq!(service["image"], image.as_str(), "{name}");
        }
    }
    let rust = format!("rust:{}.", field("rust-version"));
    assert!(
        arguments("FROM").iter().any(|from| from.starts_with(&rust)),
        "no stage with {rust}…"
    );
}

#[test]
fn the_containerfile_copies_what_the_tree_has_and_every_member_of_the_workspace() {
    let mut copied = BTreeSet::new();
    for rest in arguments("COPY") {
        if rest.contains("--from=") {
            continue;
        }
        let mut words: Vec<&str> = rest
            .split_whitespace()
            .filter(|word| !word.starts_with("--"))
            .collect();
        words.pop().expect("where to");
        for source in words {
            assert!(root().join(source).exists(), "COPY {source}: not there");
            copied.insert(source.to_owned());
        }
    }
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).expect("the manifest");
    let members = manifest
        .split_once("members = [")
        .and_then(|(_, rest)| rest.split_once(']'))
        .map(|(members, _)| members.to_owned())
        .expect("members");
    for member in members
        .split('"')
        .filter(|part| part.chars().any(char::is_alphabetic))
    {
        let folder = member.split('/').next().unwrap_or(member);
        assert!(
            copied.contains(folder) || copied.contains(member),
            "`{member}` is not in the build"
        );
    }
}

#[test]
fn the_containerfile_builds_with_a_feature_that_the_binary_has() {
    let built: Vec<String> = arguments("RUN")
        .into_iter()
        .filter(|run| run.contains("cargo build"))
        .collect();
    let [build] = built.as_slice() else {
        panic!("one build, not {}", built.len())
    };
    let words: Vec<&str> = build.split_whitespace().collect();
    let feature = words
        .iter()
        .position(|word| *word == "--features")
        .and_then(|at| words.get(at + 1))
        .expect("a feature");
    assert!(words.contains(&"--locked") && words.contains(&"--release"));
    let manifest = std::fs::read_to_string(root().join("services/creditgate/Cargo.toml"));
    let has = manifest
        .expect("the manifest")
        .contains(&format!("\n{feature} = "));
    assert!(has, "the binary has no `{feature}`");
}

#[test]
fn the_image_runs_without_rights_on_the_ports_of_the_configuration() {
    let last = |instruction: &str| arguments(instruction).pop().unwrap_or_default();
    let user = last("USER");
    assert!(
        user.split(':')
            .all(|id| id.parse::<u32>().is_ok_and(|id| id > 0)),
        "USER {user}"
    );
    assert_eq!(last("STOPSIGNAL"), "SIGTERM");
    assert_eq!(last("ENTRYPOINT"), r#"["creditgate"]"#);
    assert_eq!(last("CMD"), r#"["serve"]"#);
    assert!(last("HEALTHCHECK").contains("CMD"));

    let defaults = yaml_of(example_config());
    let ports: Vec<&str> = ["grpc_addr", "http_addr"]
        .iter()
        .filter_map(|key| defaults[*key].as_str())
        .filter_map(|address| address.rsplit_once(':').map(|(_, port)| port))
        .collect();
    assert_eq!(last("EXPOSE"), ports.join(" "));

    let data_dir = last("ENV")
        .strip_prefix("CREDITGATE_DATA_DIR=")
        .expect("the data directory")
        .to_owned();
    assert_eq!(last("VOLUME"), format!("[\"{data_dir}\"]"));
}

/// Words in capitals that begin with our prefix.
fn variables(text: &str) -> BTreeSet<&str> {
    text.split(|c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'))
        .filter(|word| word.len() > "CREDITGATE_".len() && word.starts_with("CREDITGATE_"))
        .collect()
}

#[test]
fn every_variable_of_ours_exists() {
    let known = variables(example_config());
    let app = root().join("services/creditgate/src/app.rs");
    let built_in = std::fs::read_to_string(app).expect("the source");
    for file in [
        "Containerfile",
        "compose.yaml",
        "compose.cluster.yaml",
        "README.md",
    ] {
        for name in variables(&text(file)) {
            let at_build = built_in.contains(&format!("option_env!(\"{name}\")"));
            assert!(
                known.contains(name) || at_build,
                "{file}: nobody reads {name}"
            );
        }
    }
}

/// Every `--flag` in these words must be in the help of the command.
fn flags_exist(place: &str, words: &[&str]) {
    let groups = ["lists", "cases", "measures", "verdicts", "bench"];
    let depth = match words.first() {
        Some(first) if groups.contains(first) => 2,
        _ => 1,
    };
    let command: Vec<&str> = words.iter().take(depth).copied().collect();
    let help = told(&[command.as_slice(), &["--help"]].concat());
    let known: BTreeSet<&str> = help
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'))
        .filter(|word| word.starts_with("--"))
        .collect();
    for word in words {
        let flag = word.split('=').next().unwrap_or(word);
        if flag.len() > 2 && flag.starts_with("--") {
            assert!(
                known.contains(flag),
                "{place}: `creditgate {}` has no {flag}",
                command.join(" ")
            );
        }
    }
}

#[test]
fn every_flag_exists() {
    for (name, service) in services(COMPOSE[1]) {
        if !is_creditgate(&service) {
            continue;
        }
        let mut words = texts(&service["entrypoint"]);
        words.extend(texts(&service["command"]));
        if words.first() == Some(&"creditgate") {
            words.remove(0);
        }
        if !words.is_empty() {
            flags_exist(&name, &words);
        }
    }
    let mut seen = 0;
    for line in commands("README.md") {
        let words: Vec<&str> = line.split_whitespace().collect();
        let own = match words.as_slice() {
            ["creditgate", rest @ ..] => rest,
            // The service `keys` is the command of this name.
            ["docker", "compose", "run", "--rm", rest @ ..] => rest,
            _ => continue,
        };
        let end = own
            .iter()
            .position(|word| ["|", ">", "2>"].contains(word))
            .unwrap_or(own.len());
        flags_exist("README.md", &own[..end]);
        seen += 1;
    }
    assert!(seen >= 3, "the README shows how to make keys and to ask");
}

/// The lines of the code blocks of a text, continuations joined.
fn commands(file: &str) -> Vec<String> {
    let text = text(file);
    let blocks = text.split("```").skip(1).step_by(2);
    blocks
        .flat_map(|block| {
            let joined = block.replace("\\\n", " ");
            joined
                .lines()
                .map(|line| line.trim().to_owned())
                .collect::<Vec<_>>()
        })
        .collect()
}

#[test]
fn compose_refers_only_to_what_there_is() {
    for files in COMPOSE {
        let services = services(files);
        let mut volumes = BTreeSet::new();
        let mut secrets = BTreeSet::new();
        for file in files {
            let written = yaml(file);
            volumes.extend(names(&written["volumes"]).into_iter().map(str::to_owned));
            secrets.extend(names(&written["secrets"]).into_iter().map(str::to_owned));
        }
        let mut mounted = BTreeSet::new();
        for (name, service) in &services {
            for volume in texts(&service["volumes"]) {
                let source = volume.split(':').next().unwrap_or_default();
                if source.starts_with('.') {
                    assert!(deploy().join(source).exists(), "{name}: no file {source}");
                } else if !source.starts_with('/') {
                    assert!(volumes.contains(source), "{name}: no volume {source}");
                    mounted.insert(source.to_owned());
                }
            }
            for secret in texts(&service["secrets"]) {
                assert!(secrets.contains(secret), "{name}: no secret {secret}");
            }
            if let Some(file) = service["build"]["dockerfile"].as_str() {
                let context = service["build"]["context"].as_str().unwrap_or(".");
                let path = deploy().join(context).join(file);
                assert!(path.exists(), "{name}: no {}", path.display());
            }
            for (other, needs) in table(&service["depends_on"]) {
                let there = services
                    .get(other)
                    .unwrap_or_else(|| panic!("{name} waits for {other}, which is no service"));
                let healthy = needs["condition"] == "service_healthy";
                assert!(
                    !healthy || is_creditgate(there) || there["healthcheck"]["test"].is_array(),
                    "{name} waits for the health of {other}, which nobody checks"
                );
            }
        }
        assert_eq!(mounted, volumes, "a volume that nobody mounts");
    }
}

#[test]
fn every_service_has_its_limits_and_comes_back() {
    for files in COMPOSE {
        for (name, service) in services(files) {
            let memory = &service["deploy"]["resources"]["limits"]["memory"];
            assert!(memory.is_string(), "{name} has no limit of memory");
            let tool = texts(&service["profiles"]).contains(&"keys");
            let due = if tool { "no" } else { "unless-stopped" };
            assert_eq!(service["restart"], due, "{name}");
            for port in texts(&service["ports"]) {
                assert!(
                    port.starts_with("127.0.0.1:"),
                    "{name} publishes {port} to every machine"
                );
            }
        }
    }
}

#[test]
fn compose_holds_no_secret() {
    for files in COMPOSE {
        for (name, service) in services(files) {
            for (variable, value) in table(&service["environment"]) {
                let secret = ["PASSWORD", "SECRET", "TOKEN", "HEADERS", "CREDITGATE_KEY"]
                    .iter()
                    .any(|word| variable.contains(word));
                let harmless = ["_FILE", "_ADDR"].iter().any(|end| variable.ends_with(end));
                assert!(!secret || harmless, "{name}: {variable} = {value}");
            }
        }
    }
}

#[test]
fn our_services_share_neither_data_nor_ports_and_listen_where_they_are_published() {
    let mut data = BTreeSet::new();
    let mut roles = BTreeSet::new();
    let mut published = BTreeSet::new();
    for (name, service) in services(COMPOSE[1]) {
        for port in texts(&service["ports"]) {
            let host = port.rsplit_once(':').map_or(port, |(host, _)| host);
            assert!(published.insert(host.to_owned()), "{host} twice");
        }
        if !is_creditgate(&service) || service["environment"].is_null() {
            continue;
        }
        let environment = &service["environment"];
        let own_roles = environment["CREDITGATE_ROLES"].as_str().expect("roles");
        for role in own_roles.split(',') {
            // Every process tells whether it is ready.
            assert!(
                roles.insert(role.to_owned()) || role == "http",
                "{role} stands in two services"
            );
            told(&["serve", "--dump-config", "--roles", role]);
        }
        let listening: Vec<&str> = ["CREDITGATE_GRPC_ADDR", "CREDITGATE_HTTP_ADDR"]
            .iter()
            .filter_map(|variable| environment[*variable].as_str())
            .filter_map(|address| address.rsplit_once(':').map(|(_, port)| port))
            .collect();
        for port in texts(&service["ports"]) {
            let inside = port.rsplit_once(':').map_or(port, |(_, inside)| inside);
            assert!(
                listening.contains(&inside),
                "{name} does not listen on {inside}"
            );
        }
        let kept = texts(&service["volumes"])
            .into_iter()
            .find(|volume| volume.ends_with(":/var/lib/creditgate"));
        match kept {
            Some(volume) => assert!(data.insert(volume.to_owned()), "{volume} twice"),
            None => assert!(
                texts(&service["ports"]).is_empty() && service["container_name"].is_null(),
                "replicas of {name} would share more than a volume"
            ),
        }
        let mounted = texts(&service["volumes"]);
        for variable in ["CREDITGATE_CONFIG", "CREDITGATE_KEYS_FILE"] {
            let path = environment[variable].as_str().expect("a path");
            let is_mounted = mounted
                .iter()
                .filter_map(|volume| volume.split(':').nth(1))
                .any(|at| path.starts_with(at));
            assert!(is_mounted, "{name}: {variable} is nowhere");
        }
    }
    let due = ["cases", "gate", "http", "registry", "stream"].map(str::to_owned);
    assert_eq!(roles, BTreeSet::from(due));
}

#[test]
fn a_stop_gives_more_time_than_the_drain_takes() {
    let drain_ms = yaml_of(example_config())["shutdown"]["drain_timeout_ms"]
        .as_u64()
        .expect("a number");
    for (name, service) in services(COMPOSE[0]) {
        if is_creditgate(&service) {
            let grace: u64 = service["stop_grace_period"]
                .as_str()
                .and_then(|period| period.strip_suffix('s'))
                .and_then(|seconds| seconds.parse().ok())
                .expect("seconds");
            assert!(grace * 1000 > drain_ms, "{name}");
        }
    }
}

#[test]
fn brokers_and_collector_are_where_the_configuration_looks_for_them() {
    let configuration = yaml("creditgate.yaml");
    let endpoint = configuration["telemetry"]["otlp_endpoint"]
        .as_str()
        .expect("the collector");
    let port = endpoint
        .strip_prefix("http://otel-collector:")
        .expect("the service of compose");
    let receiver = &yaml("otel-collector.yaml")["receivers"]["otlp"]["protocols"]["grpc"];
    assert_eq!(receiver["endpoint"], format!("0.0.0.0:{port}"));

    for files in COMPOSE {
        let services = services(files);
        let mut brokers: Vec<String> = texts(&configuration["kafka"]["brokers"])
            .into_iter()
            .map(str::to_owned)
            .collect();
        let overridden = services["stream"]["environment"]["CREDITGATE_KAFKA_BROKERS"].as_str();
        if let Some(list) = overridden {
            brokers = list.split(',').map(str::to_owned).collect();
        }
        let running: Vec<&String> = services
            .keys()
            .filter(|name| name.starts_with("kafka"))
            .collect();
        assert_eq!(brokers.len(), running.len());
        for broker in brokers {
            let (host, port) = broker.split_once(':').expect("host:port");
            let environment = &services
                .get(host)
                .unwrap_or_else(|| panic!("no broker {host}"))["environment"];
            let has = |variable: &str, part: &str| {
                let value = environment[variable].as_str().unwrap_or_default();
                assert!(
                    value.split(',').any(|one| one == part),
                    "{host}: {variable} lacks {part}"
                );
            };
            has("KAFKA_LISTENERS", &format!("INSIDE://:{port}"));
            has("KAFKA_ADVERTISED_LISTENERS", &format!("INSIDE://{broker}"));
            let id = environment["KAFKA_NODE_ID"].as_str().expect("an id");
            has(
                "KAFKA_CONTROLLER_QUORUM_VOTERS",
                &format!("{id}@{host}:9093"),
            );
            let published = texts(&services[host]["ports"])
                .first()
                .and_then(|port| port.split(':').nth(1))
                .expect("a port")
                .to_owned();
            has(
                "KAFKA_ADVERTISED_LISTENERS",
                &format!("HOST://localhost:{published}"),
            );
        }
    }
}

#[test]
fn copies_of_the_brokers_fit_their_number() {
    for (files, copies, in_sync) in [(COMPOSE[0], "1", "1"), (COMPOSE[1], "3", "2")] {
        for (name, service) in services(files) {
            for (variable, value) in table(&service["environment"]) {
                let due = match variable {
                    _ if !variable.starts_with("KAFKA_") => continue,
                    _ if variable.ends_with("REPLICATION_FACTOR") => copies,
                    _ if variable.ends_with("MIN_ISR") => in_sync,
                    "KAFKA_MIN_INSYNC_REPLICAS" => in_sync,
                    "KAFKA_UNCLEAN_LEADER_ELECTION_ENABLE" | "KAFKA_AUTO_CREATE_TOPICS_ENABLE" => {
                        "false"
                    }
                    _ => continue,
                };
                assert_eq!(value, due, "{name}: {variable}");
            }
        }
    }
}

#[test]
fn topics_lose_nothing_that_must_stay() {
    let written = yaml("topics.yaml");
    let topics: BTreeMap<&str, &Value> = written
        .as_array()
        .expect("a list")
        .iter()
        .map(|topic| (topic["name"].as_str().expect("a name"), topic))
        .collect();
    let topic = |name: &str| topics[format!("creditgate.{name}").as_str()];
    assert_eq!(topics.len(), 9);
    for (name, topic) in &topics {
        assert!(topic["purpose"].is_string(), "{name}");
        assert!(topic["key"].is_string(), "{name}");
        assert_eq!(topic["replication"], 3, "{name}");
        assert!(!texts(&topic["written_by"]).is_empty(), "{name}");
        assert!(!texts(&topic["read_by"]).is_empty(), "{name}");
        assert_eq!(topic["config"]["min.insync.replicas"], "2", "{name}");
        assert_eq!(
            topic["config"]["unclean.leader.election.enable"], "false",
            "{name}"
        );
        for (setting, value) in table(&topic["config"]) {
            assert!(value.is_string(), "{name}: {setting} is no text");
        }
    }
    let cases = topic("events")["partitions"].as_u64().expect("a number");
    for name in [
        "verdicts",
        "case-state",
        "dead-letters",
        "lift-orders",
        "feedback",
        "chain",
    ] {
        assert_eq!(topic(name)["partitions"], cases, "{name}");
    }
    assert_eq!(
        yaml("creditgate.yaml")["kafka"]["partitions"],
        cases,
        "as configured"
    );

    for name in ["list-changes", "case-log"] {
        assert_eq!(topic(name)["partitions"], 1, "{name} has one order");
    }
    let policy = |name: &str| topic(name)["config"]["cleanup.policy"].as_str();
    for name in topics
        .keys()
        .filter_map(|name| name.strip_prefix("creditgate."))
    {
        let due = match name {
            "case-state" | "chain" => "compact",
            _ => "delete",
        };
        assert_eq!(policy(name), Some(due), "{name}");
    }
    let kept_ms = |name: &str| {
        let kept = topic(name)["config"]["retention.ms"].as_str();
        kept.and_then(|kept| kept.parse::<i64>().ok())
    };
    for name in ["list-changes", "dead-letters", "case-log", "lift-orders"] {
        assert_eq!(kept_ms(name), Some(-1), "{name}");
        assert_eq!(topic(name)["config"]["retention.bytes"], "-1", "{name}");
    }
    let events_ms = kept_ms("events").expect("a number");
    assert!(kept_ms("verdicts").expect("a number") >= events_ms);
    assert!(kept_ms("feedback").expect("a number") >= events_ms);
    let ours = BTreeSet::from(["stream", "gate", "cases"]);
    for name in ["case-state", "case-log", "chain"] {
        let readers: BTreeSet<&str> = texts(&topic(name)["read_by"]).into_iter().collect();
        assert!(readers.is_subset(&ours), "{name}: {readers:?}");
    }

    // A group whose place is forgotten begins with the oldest event, and a gap goes unseen.
    let minutes = services(COMPOSE[0])["kafka"]["environment"]["KAFKA_OFFSETS_RETENTION_MINUTES"]
        .as_str()
        .and_then(|minutes| minutes.parse::<i64>().ok())
        .expect("a number");
    assert!(minutes * 60_000 > events_ms);
}

#[test]
fn topics_are_made_by_the_program_as_they_are_written() {
    let written = yaml("topics.yaml");
    let configured = &yaml("creditgate.yaml")["kafka"];
    let prefix = configured["topic_prefix"].as_str().expect("a prefix");
    let named = written.as_array().expect("a list");
    assert_eq!(named.len(), Topic::ALL.len());
    for (topic, kind) in named.iter().zip(Topic::ALL) {
        let name = format!("{prefix}.{}", kind.suffix());
        let rule = kind.rule();
        assert_eq!(topic["name"], name.as_str());
        assert_eq!(topic["purpose"], rule.purpose, "{name}");
        let partitions = match rule.by_case {
            true => configured["partitions"].clone(),
            false => Value::from(1),
        };
        assert_eq!(topic["partitions"], partitions, "{name}");
        let made: BTreeMap<&str, &str> = rule.settings.iter().copied().collect();
        let shown: BTreeMap<&str, &str> = table(&topic["config"])
            .into_iter()
            // The program reckons it from the number of copies.
            .filter(|(setting, _)| *setting != "min.insync.replicas")
            .filter_map(|(setting, value)| Some((setting, value.as_str()?)))
            .collect();
        assert_eq!(shown, made, "{name}");
    }
}

#[test]
fn the_runbook_names_topics_that_there_are() {
    let written = yaml("topics.yaml");
    let known: BTreeSet<&str> = written
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|topic| topic["name"].as_str())
        .collect();
    let readme = text("README.md");
    let mut seen = BTreeSet::new();
    for word in readme.split(|c: char| !(c.is_ascii_alphanumeric() || "._-".contains(c))) {
        let word = word.trim_end_matches(['.', '-']);
        let Some(rest) = word.strip_prefix("creditgate.") else {
            continue;
        };
        // The group, the transactions and this folder's own file.
        let other = ["registry", "stream", "cases", "reader", "yaml"].contains(&rest);
        if !other && !rest.is_empty() {
            assert!(known.contains(word), "{word} is no topic");
            seen.insert(word);
        }
    }
    assert_eq!(
        seen.len(),
        known.len(),
        "who may do what is told of each topic"
    );
}

#[test]
fn pipelines_of_the_collector_name_what_is_defined() {
    let collector = yaml("otel-collector.yaml");
    let extensions = names(&collector["extensions"]);
    for extension in texts(&collector["service"]["extensions"]) {
        assert!(extensions.contains(extension), "no extension {extension}");
    }
    let pipelines = table(&collector["service"]["pipelines"]);
    assert_eq!(
        pipelines.iter().map(|(name, _)| *name).collect::<Vec<_>>(),
        ["metrics", "traces"],
        "what creditgate sends"
    );
    for (name, pipeline) in pipelines {
        for part in ["receivers", "processors", "exporters"] {
            let defined = names(&collector[part]);
            let used = texts(&pipeline[part]);
            assert!(!used.is_empty(), "{name} has no {part}");
            for one in used {
                assert!(defined.contains(one), "{name}: {part} lacks {one}");
            }
        }
    }
    let shown = collector["exporters"]["prometheus"]["endpoint"]
        .as_str()
        .and_then(|endpoint| endpoint.rsplit_once(':'))
        .map(|(_, port)| format!("127.0.0.1:{port}:{port}"))
        .expect("a port");
    assert!(texts(&services(COMPOSE[0])["otel-collector"]["ports"]).contains(&shown.as_str()));
}

#[test]
fn the_example_configuration_is_sound_and_leaves_out_no_key_of_kafka() {
    let config = ["--config", "deploy/creditgate.yaml"];
    told(&[["serve", "--check-config"], config].concat());
    assert_eq!(
        names(&yaml("creditgate.yaml")["kafka"]),
        names(&yaml_of(example_config())["kafka"])
    );
}

#[test]
fn the_services_of_compose_would_start_with_keys_and_not_without() {
    let dir = tempfile::tempdir().expect("a directory");
    let keys = dir.path().join("keys.yaml").display().to_string();
    let check = |environment: &Value, more: &[&str]| {
        let mut args = vec![
            "serve",
            "--check-config",
            "--config",
            "deploy/creditgate.yaml",
        ];
        for (flag, variable) in [
            ("--grpc-addr", "CREDITGATE_GRPC_ADDR"),
            ("--http-addr", "CREDITGATE_HTTP_ADDR"),
        ] {
            args.extend([flag, environment[variable].as_str().expect("an address")]);
        }
        args.extend(more);
        let output = run(&args, "");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.success(), said)
    };
    let services = services(COMPOSE[0]);
    let ours = ["registry", "gate", "stream", "cases"].map(|name| &services[name]["environment"]);
    for environment in ours {
        let (sound, said) = check(environment, &[]);
        assert!(!sound && said.contains("keys_file"), "{said}");
    }
    told(&[
        "keys",
        "tender-platform",
        "--may",
        "check,read",
        "--file",
        &keys,
    ]);
    for environment in ours {
        let roles = environment["CREDITGATE_ROLES"].as_str().expect("roles");
        let (sound, said) = check(environment, &["--keys-file", &keys, "--roles", roles]);
        assert!(sound, "{roles}: {said}");
    }
}

/// What the image's health check says of these ports.
fn healthy(http: u16, grpc: u16) -> bool {
    Command::new("bash")
        .arg(deploy().join("ready.sh"))
        .args([http.to_string(), grpc.to_string()])
        .status()
        .expect("bash runs")
        .success()
}

#[test]
fn the_health_check_tells_a_service_that_serves_from_one_that_is_gone() {
    let dir = tempfile::tempdir().expect("a directory");
    let service = Service::start(dir.path());
    let (http, grpc) = (service.http.port(), service.grpc.port());
    assert!(healthy(http, grpc), "it is ready over HTTP");
    // Port 1 is nobody's: a process without the role `http`.
    assert!(healthy(1, grpc), "it listens on gRPC");
    assert!(!healthy(grpc, grpc), "what answers no HTTP is not ready");
    drop(service);
    assert!(!healthy(http, grpc), "it is gone");
}
