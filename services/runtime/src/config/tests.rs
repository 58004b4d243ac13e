//! What each source may say, what is refused, and that table, example, dump and values agree.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::*;

/// Loads the YAML, the variables and the flags, and prints either what differs from the defaults or the faults.
fn check(yaml: &str, variables: &[(&str, &str)], overrides: Overrides, expected: &str) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("c.yaml");
    std::fs::write(&file, yaml).unwrap();
    let environment: BTreeMap<String, String> = variables
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .collect();
    let sources = Sources {
        file: Some(file.clone()),
        environment: &environment,
        overrides,
    };
    let printed = match Config::load(sources) {
        Ok(config) => {
            let defaults = Config::default().dump();
            let differs = |line: &&str| !defaults.lines().any(|default| default == *line);
            config
                .dump()
                .lines()
                .filter(differs)
                .collect::<Vec<_>>()
                .join("\n")
        }
        Err(errors) => {
            let faults = errors.0.iter().map(|error| error.to_string());
            faults
                .collect::<Vec<_>>()
                .join("\n")
                .replace(&format!("{}", file.display()), "c.yaml")
        }
    };
    assert_eq!(printed, expected, "for\n{yaml}");
}

fn check_file(yaml: &str, expected: &str) {
    check(yaml, &[], Overrides::default(), expected);
}

#[test]
fn nothing_written_gives_the_defaults() {
    check_file("", "");
    check_file("# only a comment\njournal:\n", "");
    let config = Config::default();
    assert_eq!(config.grpc_addr.to_string(), "127.0.0.1:7420");
    assert_eq!(config.roles.len(), 5);
    assert_eq!(config.journal.segment_bytes(), 64 << 20);
    assert_eq!(config.catalogue_dir, None);
}

#[test]
fn a_later_source_replaces_an_earlier_one_key_by_key() {
    let yaml = "data_dir: /a\njournal: {segment_mib: 8, queue_mib: 9}\n";
    check_file(yaml, "data_dir: /a\n  segment_mib: 8\n  queue_mib: 9");
    let variables = [
        ("CREDITGATE_DATA_DIR", "/b"),
        ("CREDITGATE_JOURNAL_SEGMENT_MIB", "16"),
    ];
    check(
        yaml,
        &variables,
        Overrides::default(),
        "data_dir: /b\n  segment_mib: 16\n  queue_mib: 9",
    );
    let overrides = Overrides {
        data_dir: Some("/c".into()),
        ..Overrides::default()
    };
    check(
        yaml,
        &variables,
        overrides,
        "data_dir: /c\n  segment_mib: 16\n  queue_mib: 9",
    );
}

#[test]
fn lists_and_tables_read_from_the_file_and_from_variables() {
    let environment: BTreeMap<String, String> = [
        ("CREDITGATE_ROLES", "gate, http"),
        (
            "CREDITGATE_LISTS_NOT_CONNECTED",
            "B07=no agreement yet; B09=issuer offline",
        ),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    let sources = Sources {
        file: None,
        environment: &environment,
        overrides: Overrides::default(),
    };
    let config = Config::load(sources).unwrap();
    assert_eq!(config.roles, [Role::Gate, Role::Http].into());
    assert_eq!(config.lists.not_connected["B09"], "issuer offline");

    check_file(
        "lists:\n  not_connected:\n    B07: no agreement yet\n",
        "  not_connected:\n    B07: no agreement yet",
    );
    check_file("lists:\n  inbox: /srv/inbox\n", "  inbox: /srv/inbox");
    check_file(
        "lists:\n  inbox_still_ms: 60000\n",
        "  inbox_still_ms: 60000",
    );
}

#[test]
fn a_book_is_one_pack_or_composed_and_its_keys_are_files() {
    let overrides = Overrides {
        supplements: vec!["a,b".into(), "c".into()],
        trusted_keys: vec!["k.pem".into()],
        ..Overrides::default()
    };
    check(
        "book: {trusted_keys: [other.pem]}\n",
        &[],
        overrides,
        "  supplements:\n  - a,b\n  - c\n  trusted_keys:\n  - k.pem",
    );
    let rule = "is a whole book, and `catalogue_dir` or `book.supplements` names another; keep one of them";
    for other in ["catalogue_dir: d\n", ""] {
        let supplements = if other.is_empty() {
            ", supplements: [s]"
        } else {
            ""
        };
        check_file(
            &format!("book: {{pack: p{supplements}}}\n{other}"),
            &format!("c.yaml:1: `book.pack` = `p` {rule}"),
        );
    }
}

#[test]
fn unknown_keys_are_all_named_with_their_lines() {
    check_file(
        "data_dri: x\njournal:\n  ack: durable\n  fsync: no\nlimits:\n  message_mb: 1\n",
        "c.yaml:1: `data_dri` is no key; here may stand `data_dir`, `grpc_addr`, `http_addr`, `roles`, `catalogue_dir`, \
         `confirmations`, `keys_file`, `access`, `tls`, `tokens`, `book`, `journal`, `sealing`, `kafka`, `lists`, `webhooks`, `cases`, `limits`, `telemetry`, `shutdown`\n\
         c.yaml:4: `journal.fsync` is no key; here may stand `ack`, `segment_mib`, `queue_mib`, `signing_key_file`, `check_point_seconds`, `anchor_file`, \
         `anchor_topic`, `anchor_brokers`, `anchor_kafka_config`, `anchor_webhook`, `anchor_secret_id`\n\
         c.yaml:6: `limits.message_mb` is no key; here may stand `message_mib`, `checks_in_flight`, \
         `min_list_version_wait_ms`",
    );
}

#[test]
fn every_fault_is_reported_with_key_value_place_and_rule() {
    check(
        "grpc_addr: localhost\nroles: [gate, kitchen]\njournal:\n  segment_mib: 0\n  ack: never\n",
        &[("CREDITGATE_TELEMETRY_TRACE_RATIO", "1.5")],
        Overrides {
            log_format: Some("xml".into()),
            ..Overrides::default()
        },
        "c.yaml:1: `grpc_addr` = `localhost` must be an address and a port such as `127.0.0.1:7420`\n\
         c.yaml:2: `roles` = `gate, kitchen` must be one or more of `registry`, `gate`, `http`, `stream`, `cases`\n\
         c.yaml:5: `journal.ack` = `never` must be `durable` or `written`\n\
         c.yaml:4: `journal.segment_mib` = `0` must be a number from 1 to 4096\n\
         flag --log-format: `telemetry.log_format` = `xml` must be `text` or `json`\n\
         variable CREDITGATE_TELEMETRY_TRACE_RATIO: `telemetry.trace_ratio` = `1.5` must be a number from 0 to 1",
    );
    check_file(
        "roles: []\n",
        "c.yaml:1: `roles` is empty; name one or more of `registry`, `gate`, `http`, `stream`, `cases`",
    );
    check_file(
        "journal: 7\n",
        "c.yaml:1: `journal` must hold the keys `ack`, `segment_mib`, `queue_mib`, `signing_key_file`, `check_point_seconds`, `anchor_file`, \
         `anchor_topic`, `anchor_brokers`, `anchor_kafka_config`, `anchor_webhook`, `anchor_secret_id`",
    );
    check_file(
        "data_dir: [[a]]\n",
        "c.yaml:1: `data_dir` must hold plain values, no lists or sections inside",
    );
    check_file(
        "telemetry: {trace_ratio: NaN}\n",
        "c.yaml:1: `telemetry.trace_ratio` = `NaN` must be a number from 0 to 1",
    );
}

#[test]
fn a_misspelt_level_is_refused() {
    let rule = "must be levels such as `info` or `info,creditgate_gate=debug`";
    for filter in ["inof", "", "info,creditgate_gate", "a=b=c"] {
        check_file(
            &format!("telemetry: {{log_filter: \"{filter}\"}}\n"),
            &format!("c.yaml:1: `telemetry.log_filter` = `{filter}` {rule}"),
        );
    }
    check_file(
        "telemetry: {log_filter: \"warn,creditgate_gate=debug\"}\n",
        "  log_filter: warn,creditgate_gate=debug",
    );
}

#[test]
fn a_file_that_cannot_be_read_or_parsed_is_one_fault() {
    let environment = BTreeMap::from([(FILE_VARIABLE.to_owned(), "/nowhere/c.yaml".to_owned())]);
    let sources = Sources {
        file: None,
        environment: &environment,
        overrides: Overrides::default(),
    };
    let errors = Config::load(sources).unwrap_err();
    assert_eq!(errors.0.len(), 1);
    assert!(
        errors
            .to_string()
            .contains("/nowhere/c.yaml: cannot be read: No such file"),
        "{errors}"
    );

    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("c.yaml");
    std::fs::write(&file, "data_dir: a\ndata_dir: b\n").unwrap();
    let environment = BTreeMap::new();
    let sources = Sources {
        file: Some(file),
        environment: &environment,
        overrides: Overrides::default(),
    };
    let errors = Config::load(sources).unwrap_err();
    assert_eq!(errors.0.len(), 1);
    assert!(
        errors.0[0]
            .to_string()
            .contains("c.yaml:2: is not readable as YAML"),
        "{errors}"
    );
}

#[test]
fn an_open_address_needs_a_keys_file() {
    let rule = "is open to other machines, and without keys anybody could call: set `keys_file` (make keys with \
                `creditgate keys NAME --file FILE`), or use a loopback address such as `127.0.0.1`";
    check_file(
        "grpc_addr: 0.0.0.0:7420\n",
        &format!("c.yaml:1: `grpc_addr` = `0.0.0.0:7420` {rule}"),
    );
    check_file(
        "http_addr: \"[::]:1\"\n",
        &format!("c.yaml:1: `http_addr` = `[::]:1` {rule}"),
    );
    check_file(
        "grpc_addr: 0.0.0.0:7420\nkeys_file: k.yaml\n",
        "grpc_addr: 0.0.0.0:7420\nkeys_file: k.yaml",
    );
    check_file("http_addr: \"[::1]:7421\"\n", "http_addr: \"[::1]:7421\"");
    check_file(
        "http_addr: 127.0.0.1:7420\n",
        "c.yaml:1: `http_addr` = `127.0.0.1:7420` is also `grpc_addr`; give each a port of its own",
    );
}

#[test]
fn tls_needs_all_its_parts() {
    check_file(
        "tls: {certificate_file: c.pem}\n",
        "c.yaml:1: `tls.certificate_file` = `c.pem` needs its key: set `tls.key_file`",
    );
    check_file(
        "tls: {key_file: k.pem}\n",
        "c.yaml:1: `tls.key_file` = `k.pem` needs its certificate: set `tls.certificate_file`",
    );
    check_file(
        "tls: {client_ca_file: ca.pem}\n",
        "c.yaml:1: `tls.client_ca_file` = `ca.pem` is heeded only over TLS: set `tls.certificate_file` and `tls.key_file`\n\
         c.yaml:1: `tls.client_ca_file` = `ca.pem` names nobody by itself: set `keys_file`, which says whose each certificate is",
    );
    check_file(
        "tls: {certificate_file: c.pem, key_file: k.pem, client_certificates: required}\n",
        "c.yaml:1: `tls.client_certificates` = `required` needs to know who vouches for callers: set `tls.client_ca_file`",
    );
    check_file(
        "tls: {client_certificates: asked}\n",
        "c.yaml:1: `tls.client_certificates` = `asked` must be `optional` or `required`",
    );
}

#[test]
fn tokens_need_an_issuer_an_audience_and_callers() {
    let whole = "keys_file: k\ntokens: {issuer: \"https://id.city.example\", audience: creditgate";
    check_file(
        &format!("{whole}, claim: client_id, clock_skew_seconds: 5}}\n"),
        "keys_file: k\n  issuer: https://id.city.example\n  audience: creditgate\n  claim: client_id\n  \
         clock_skew_seconds: 5",
    );
    check_file(
        "tokens: {issuer: \"https://id.city.example\"}\n",
        "c.yaml:1: `tokens.issuer` = `https://id.city.example` issues tokens for others, too: set `tokens.audience`, the name \
         of this service in them\n\
         c.yaml:1: `tokens.issuer` = `https://id.city.example` names nobody by itself: set `keys_file`, which says whose \
         each token is",
    );
    check_file(
        "tokens: {audience: creditgate}\n",
        "c.yaml:1: `tokens.audience` = `creditgate` is of the tokens of an issuer: set `tokens.issuer`",
    );
    check_file(
        &format!("{whole}, jwks_file: j, ca_file: c}}\n"),
        "c.yaml:2: `tokens.ca_file` = `c` vouches for the issuer when it is asked for its keys, which `tokens.jwks_file` \
         holds; keep one of them",
    );
    check_file(
        &format!("{whole}, clock_skew_seconds: 301}}\n"),
        "c.yaml:2: `tokens.clock_skew_seconds` = `301` must be a number from 0 to 300",
    );
}

#[test]
fn an_issuer_that_is_asked_has_an_https_address_unless_it_is_on_this_machine() {
    let check = |issuer: &str, more: &str, expected: &str| {
        let yaml = format!("keys_file: k\ntokens: {{issuer: \"{issuer}\", audience: a{more}}}\n");
        let expected = match expected {
            "" => format!("keys_file: k\n  issuer: {issuer}\n  audience: a"),
            rule => format!("c.yaml:2: `tokens.issuer` = `{issuer}` {rule}"),
        };
        let jwks = if more.is_empty() {
            ""
        } else {
            "\n  jwks_file: j"
        };
        check_file(&yaml, &format!("{expected}{jwks}"));
    };
    let rule = "must be an https address such as `https://id.city.example`, without user, query or fragment; http only on this \
                machine";
    check("http://id.city.example", "", rule);
    check("https://id.city.example/?x=1", "", rule);
    check("id.city.example", "", rule);
    check("http://id.city.example", ", jwks_file: j", "");
    check("http://localhost:8080/realms/city", "", "");
    check("http://127.0.0.1:8080", "", "");
}

#[test]
fn anchors_that_are_sent_to_need_all_that_they_rest_on() {
    let check = |journal: &str, more: &str, due: &str| {
        let file = format!("journal: {{signing_key_file: k, {journal}}}\n{more}");
        check_file(&file, due);
    };
    check(
        "anchor_topic: audit.creditgate",
        "",
        "c.yaml:1: `journal.anchor_topic` = `audit.creditgate` lies on a cluster that nobody named: set \
         `journal.anchor_brokers`",
    );
    let webhook = "anchor_webhook: \"https://audit.example.cn/points\"";
    let secrets = "webhooks: {secrets_dir: s, allow: [audit.example.cn]}\n";
    check(
        webhook,
        secrets,
        "c.yaml:1: `journal.anchor_webhook` = `https://audit.example.cn/points` gets signed requests: set \
         `webhooks.secrets_dir` and `journal.anchor_secret_id`",
    );
    let webhook = format!("{webhook}, anchor_secret_id: audit");
    check(
        &webhook,
        "webhooks: {secrets_dir: s}\n",
        "c.yaml:1: `journal.anchor_webhook` = `https://audit.example.cn/points` may not be sent to: name its host in \
         `webhooks.allow`",
    );
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("c.yaml");
    let whole = format!(
        "journal: {{signing_key_file: k, anchor_topic: audit.creditgate, anchor_brokers: [\"audit-1:9092\"], \
         anchor_kafka_config: {{security.protocol: SSL}}, {webhook}}}\n{secrets}"
    );
    std::fs::write(&file, whole).unwrap();
    let nothing: BTreeMap<String, String> = BTreeMap::new();
    let sources = Sources {
        file: Some(file),
        environment: &nothing,
        overrides: Overrides::default(),
    };
    let config = Config::load(sources).unwrap();
    assert_eq!(config.journal.anchor_secret_id.as_deref(), Some("audit"));
    let anchor = config.kafka.of_anchor(&config.journal);
    assert_eq!(anchor.brokers, ["audit-1:9092"]);
    assert_eq!(anchor.config["security.protocol"].reveal(), "SSL");
    assert!(config.kafka.brokers.is_empty() && !config.dump().contains("SSL"));
    check_file(
        "journal: {anchor_topic: t, anchor_brokers: [\"b:1\"]}\n",
        "c.yaml:1: `journal.anchor_topic` = `t` gets check points, which need a key: set `journal.signing_key_file` (make one \
         with `creditgate keys journal`)",
    );
}

#[test]
fn check_points_need_a_key_and_a_durable_journal_of_their_own() {
    check_file(
        "journal: {anchor_file: a}\n",
        "c.yaml:1: `journal.anchor_file` = `a` gets check points, which need a key: set `journal.signing_key_file` (make one \
         with `creditgate keys journal`)",
    );
    check_file(
        "journal: {signing_key_file: k}\nkafka: {brokers: [\"kafka-1:9092\"]}\n",
        "c.yaml:1: `journal.signing_key_file` = `k` signs the journals of an embedded service; with `kafka.brokers` what is \
         here are copies of topics, which have no check points yet",
    );
    check_file(
        "data_dir: /d\njournal: {signing_key_file: k, anchor_file: /d/anchor}\n",
        "c.yaml:2: `journal.anchor_file` = `/d/anchor` lies in `data_dir`, where it shows nothing that the check points there \
         do not: name a place elsewhere",
    );
    check_file(
        "journal: {signing_key_file: k, ack: written}\n",
        "c.yaml:1: `journal.signing_key_file` = `k` signs only what is durable: set `journal.ack` to `durable`",
    );
    check_file(
        "journal: {signing_key_file: k, check_point_seconds: 5}\n",
        "  signing_key_file: k\n  check_point_seconds: 5",
    );
}

#[test]
fn secrets_show_neither_in_the_dump_nor_in_errors_nor_in_debug() {
    let yaml = "telemetry:\n  otlp_headers: {authorization: hunter2}\n";
    check_file(yaml, "  otlp_headers:\n    authorization: \"***\"");
    check_file(
        "telemetry:\n  otlp_headers: {authorization: \"hunter2\\n\"}\n",
        "c.yaml:2: `telemetry.otlp_headers` must hold header names and printable ASCII values",
    );
    check_file(
        "telemetry: {otlp_endpoint: \"http://u:hunter2@x\"}\n",
        "c.yaml:1: `telemetry.otlp_endpoint` must be an address such as `http://127.0.0.1:4317`, without user \
         or password; a collector beside the service can carry it on over TLS, and `telemetry.otlp_headers` takes an \
         authorization",
    );
    assert_eq!(format!("{:?}", Secret::new("hunter2")), "***");
    check_file(
        "telemetry: {otlp_endpoint: \"ftp://x\"}\n",
        "c.yaml:1: `telemetry.otlp_endpoint` = `ftp://x` must be an address such as `http://127.0.0.1:4317`, without user \
         or password; a collector beside the service can carry it on over TLS, and `telemetry.otlp_headers` takes an \
         authorization",
    );
}

#[test]
fn a_keyring_is_a_file_or_a_text_that_is_never_shown() {
    check_file(
        "sealing: {keyring_file: /run/keyring.yaml}\n",
        "  keyring_file: /run/keyring.yaml",
    );
    check(
        "",
        &[("CREDITGATE_SEALING_KEYRING", "active: 1\nindex: hunter2\n")],
        Overrides::default(),
        "  keyring: \"***\"",
    );
    check(
        "sealing: {keyring_file: k}\n",
        &[("CREDITGATE_SEALING_KEYRING", "hunter2")],
        Overrides::default(),
        "variable CREDITGATE_SEALING_KEYRING: `sealing.keyring` is a keyring, and `sealing.keyring_file` names another; keep \
         one of them",
    );
}

#[test]
fn the_example_file_loads_to_the_defaults() {
    check_file(&Config::example(), "");
}

#[test]
fn the_dump_loads_to_the_same_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("c.yaml");
    let mut config = Config {
        keys_file: Some(PathBuf::from("keys: odd #name.yaml")),
        grpc_addr: "[::]:1".parse().unwrap(),
        ..Config::default()
    };
    config
        .lists
        .not_connected
        .insert("B07".into(), "no: agreement".into());
    std::fs::write(&file, config.dump()).unwrap();
    let environment = BTreeMap::new();
    let sources = Sources {
        file: Some(file),
        environment: &environment,
        overrides: Overrides::default(),
    };
    assert_eq!(Config::load(sources).unwrap(), config);
}

#[test]
fn table_values_and_dump_have_the_same_keys() {
    let (config, asked) = Config::validate(Reader::new(Written::defaults(), Vec::new())).unwrap();
    let table: Vec<&str> = KEYS.iter().map(|key| key.path).collect();
    assert_eq!(asked, table);

    let mut dumped = Vec::new();
    let json = serde_json::to_value(&config).unwrap();
    for (name, value) in json.as_object().unwrap() {
        match value.as_object() {
            Some(section) => dumped.extend(section.keys().map(|key| format!("{name}.{key}"))),
            None => dumped.push(name.clone()),
        }
    }
    let mut table: Vec<String> = table.into_iter().map(str::to_owned).collect();
    table.sort();
    dumped.sort();
    assert_eq!(dumped, table);
}

#[test]
fn variables_follow_from_the_keys() {
    for key in KEYS {
        let expected = format!("{PREFIX}{}", key.path.replace('.', "_").to_uppercase());
        assert_eq!(key.variable, expected);
        assert!(key.meaning.ends_with('.'), "{}", key.path);
    }
}

#[test]
fn variables_that_mean_nothing_are_named_for_a_warning() {
    let environment: BTreeMap<String, String> = [
        "CREDITGATE_PORT",
        "CREDITGATE_ROLES",
        "CREDITGATE_SERVER",
        "HOME",
    ]
    .map(|name| (name.to_owned(), String::new()))
    .into();
    assert_eq!(unknown_variables(&environment), ["CREDITGATE_PORT"]);
}

#[test]
fn webhooks_go_where_the_deployment_says() {
    check_file(
        "webhooks: {allow: [\"*.Gov.cn\", 10.1.0.0/16], timeout_ms: 500}\n",
        "  allow:\n  - \"*.gov.cn\"\n  - 10.1.0.0/16\n  timeout_ms: 500",
    );
    check_file(
        "webhooks: {allow: [\"https://a.cn\"]}\n",
        "c.yaml:1: `webhooks.allow` = `https://a.cn` must be hosts, domains such as `*.example.gov.cn`, or networks such as `10.1.0.0/16`",
    );
}
