//! Who is recognised, by what, and which keys files are refused.

use creditgate_measures::event::Region;
use creditgate_proto::v1;
use tonic::metadata::MetadataValue;

use super::*;
use crate::access::{Outside, Question};

/// SHA-256 of `abc`, as FIPS 180 prints it.
const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

fn parse(text: &str) -> Result<Callers, Vec<String>> {
    file::parse(text, Given::default())
}

fn two() -> Callers {
    let other = hash_key("other-key");
    parse(&format!(
        "callers:\n- {{name: tender-platform, key_sha256: {ABC}, may: [check, read]}}\n\
         - {{name: registry.feed, key_sha256: {other}, may: [lists]}}\n"
    ))
    .unwrap()
}

#[test]
fn a_key_hashes_to_the_published_vector() {
    assert_eq!(hash_key("abc"), ABC);
}

#[test]
fn with_a_keys_file_the_key_decides_wherever_the_call_comes_from() {
    let check = |header: Option<&str>, loopback: bool, expected: Result<&str, Refused>| {
        let answer = two().authenticate(&Shown {
            authorization: header,
            certificate: None,
            is_local: loopback,
            call: None,
        });
        assert_eq!(
            answer
                .as_ref()
                .map(Caller::name)
                .map_err(|refused| *refused),
            expected,
            "{header:?}"
        );
    };
    check(Some("Bearer abc"), false, Ok("tender-platform"));
    check(Some("bearer abc"), true, Ok("tender-platform"));
    check(Some("Bearer other-key"), false, Ok("registry.feed"));
    check(Some("Bearer abd"), true, Err(Refused::KeyUnknown));
    check(
        Some(&format!("Bearer {ABC}")),
        true,
        Err(Refused::KeyUnknown),
    );
    check(Some("Basic abc"), true, Err(Refused::NotBearer));
    check(Some("Bearer "), true, Err(Refused::NotBearer));
    check(Some("abc"), true, Err(Refused::NotBearer));
    check(None, true, Err(Refused::KeyMissing));
}

#[test]
fn a_certificate_is_as_good_as_a_key_and_both_must_mean_the_same_caller() {
    let callers = parse(&format!(
        "callers:\n- {{name: land, certificate: \"spiffe://city.example/land\", key_sha256: {ABC}, may: [check]}}\n\
         - {{name: tender, certificate: \"sha256:{}\", may: [check]}}\n",
        "07".repeat(32)
    ))
    .unwrap();
    let check =
        |key: Option<&str>, fingerprint, names: &[&str], expected: Result<&str, Refused>| {
            let answer = callers.authenticate(&Shown {
                authorization: key,
                certificate: Some(&Certificate::with([fingerprint; 32], names)),
                is_local: false,
                call: None,
            });
            let name = answer.as_ref().map(Caller::name);
            assert_eq!(
                name.map_err(|refused| *refused),
                expected,
                "{key:?} {names:?}"
            );
        };
    let land = "spiffe://city.example/land";
    check(None, 1, &["other", land], Ok("land"));
    check(None, 7, &[], Ok("tender"));
    check(Some("Bearer abc"), 1, &[land], Ok("land"));
    // A key tells who calls with a certificate of no caller.
    check(Some("Bearer abc"), 1, &["proxy.example"], Ok("land"));
    check(
        None,
        1,
        &["spiffe://city.example/lan"],
        Err(Refused::CertificateUnknown),
    );
    check(Some("Bearer wrong"), 1, &[land], Err(Refused::KeyUnknown));
    check(Some("Bearer abc"), 7, &[], Err(Refused::TwoCallers));
    check(None, 7, &[land], Err(Refused::TwoCallers));
    assert_eq!(callers.names(), ["land", "tender"].map(Arc::from));
}

#[test]
fn each_permission_is_found_by_its_place() {
    for permission in Permission::EVERY {
        assert_eq!(permission.alone(), [permission]);
    }
}

#[test]
fn a_caller_may_only_what_the_file_says() {
    let caller = two()
        .authenticate(&Shown::authorization("Bearer abc"))
        .unwrap();
    let may: Vec<bool> = Permission::EVERY
        .iter()
        .map(|one| caller.may(*one))
        .collect();
    let expected = [Permission::Check, Permission::Read];
    assert_eq!(may, Permission::EVERY.map(|one| expected.contains(&one)));
    let every = Permission::EVERY.into_iter().collect::<Permissions>();
    assert_eq!(every.0.count_ones() as usize, Permission::EVERY.len());
}

#[test]
fn a_key_is_of_one_official_unless_the_file_says_that_it_is_shared() {
    let other = hash_key("other-key");
    let callers = parse(&format!(
        "callers:\n- {{name: desk.system, key_sha256: {ABC}, may: [cases], shared: true}}\n\
         - {{name: wang.wu, key_sha256: {other}, may: [cases]}}\n"
    ))
    .unwrap();
    let shared = |key: &str| {
        callers
            .authenticate(&Shown::authorization(key))
            .unwrap()
            .is_shared()
    };
    assert!(shared("Bearer abc"));
    assert!(!shared("Bearer other-key"));
    // Everybody on the machine is one caller.
    let local = Callers::loopback_only()
        .authenticate(&Shown::LOCAL)
        .unwrap();
    assert!(local.is_shared());
}

#[test]
fn without_a_keys_file_only_loopback_may_call_and_is_local() {
    let callers = Callers::loopback_only();
    let local = callers.authenticate(&Shown::LOCAL).unwrap();
    assert_eq!(local.name(), LOCAL);
    assert!(Permission::EVERY.iter().all(|one| local.may(*one)));
    assert_eq!(
        callers.authenticate(&Shown::authorization("Bearer abc")),
        Err(Refused::NotLocal)
    );
}

#[test]
fn the_watched_folder_brings_lists_and_its_name_is_its_own() {
    let inbox = Caller::inbox();
    assert!(inbox.may(Permission::Lists));
    assert!(
        !Permission::EVERY
            .iter()
            .any(|one| inbox.may(*one) && *one != Permission::Lists)
    );
    let faults = parse(&format!(
        "callers:\n- {{name: inbox, key_sha256: {ABC}, may: [lists]}}\n"
    ))
    .unwrap_err();
    assert!(
        faults[0].contains("`inbox` is the name of the watched folder"),
        "{faults:?}"
    );
}

#[test]
fn a_file_without_callers_recognises_nobody() {
    let callers = parse("callers: []\n").unwrap();
    assert_eq!(
        callers.authenticate(&Shown::authorization("Bearer abc")),
        Err(Refused::KeyUnknown)
    );
    assert_eq!(
        callers.authenticate(&Shown::LOCAL),
        Err(Refused::KeyMissing)
    );
}

#[test]
fn a_bad_file_is_refused_with_every_fault() {
    let check = |yaml: &str, expected: &[&str]| {
        let faults = parse(yaml).unwrap_err();
        assert_eq!(faults.len(), expected.len(), "{faults:?}");
        for (fault, part) in faults.iter().zip(expected) {
            assert!(fault.contains(part), "`{fault}` should contain `{part}`");
        }
    };
    let caller = |name: &str, digest: &str| {
        format!("- {{name: {name}, key_sha256: {digest}, may: [read]}}\n")
    };
    check(
        &format!("callers:\n{}{}", caller("a", ABC), caller("a", ABC)),
        &[
            "line 3: `a` is also the caller of line 2",
            "line 3: the key is also the key of line 2",
        ],
    );
    check(
        &format!(
            "callers:\n{}{}",
            caller("local", ABC),
            caller("Zhang San", "cgk_secret")
        ),
        &[
            "line 2: `local` is",
            "line 3: `Zhang San` must be",
            "line 3: `key_sha256` must be",
        ],
    );
    check(
        &format!("callers:\n- {{name: a, key_sha256: {ABC}, may: []}}\n"),
        &["`a` may do nothing"],
    );
    check(
        &format!("callers:\n- {{name: a, key_sha256: {ABC}, may: [fly]}}\n"),
        &["line 2"],
    );
    check(
        &format!("callers:\n- {{name: a, key_sha256: {ABC}, may: [read], key: x}}\n"),
        &["line 2"],
    );
    check(
        &format!("callers:\n- {{name: a, key_sha256: {ABC}, may: [audit, operate]}}\n"),
        &["line 2: `a` may do two of `operate` or `secure` or `audit`"],
    );
    check("calers: []\n", &["calers"]);
    check(
        "callers:\n- {name: a, may: [read]}\n",
        &["line 2: nobody could tell who `a` is"],
    );
    check(
        "callers:\n- {name: a, certificate: \"sha256:07\", may: [read]}\n- {name: b, certificate: \"two words\", may: [read]}\n",
        &[
            "line 2: `certificate` must be",
            "line 3: `certificate` must be",
        ],
    );
    check(
        "callers:\n- {name: a, certificate: x.example, may: [read]}\n- {name: b, certificate: x.example, may: [read]}\n",
        &["line 3: the certificate is also the certificate of line 2"],
    );
}

#[test]
fn a_key_pasted_for_its_hash_is_not_repeated_in_the_error() {
    let faults = parse("callers:\n- {name: a, key_sha256: cgk_secret, may: [read]}\n").unwrap_err();
    assert!(!faults.concat().contains("cgk_secret"), "{faults:?}");
}

#[test]
fn generated_keys_differ_and_never_print() {
    let (one, two) = (generate_key().unwrap(), generate_key().unwrap());
    assert_ne!(one.reveal(), two.reveal());
    assert_eq!(one.reveal().len(), KEY_PREFIX.len() + 64);
    assert_eq!(format!("{one:?}"), "***");
    assert!(
        !format!("{:?}", super::tests::two()).contains("186"),
        "digests print redacted"
    );
}

#[cfg(unix)]
#[test]
fn a_file_that_everybody_can_read_is_warned_of() {
    use std::os::unix::fs::PermissionsExt;

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keys.yaml");
    std::fs::write(&path, "callers: []\n").unwrap();
    let warnings = |mode| {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        Callers::load(&path).unwrap().warnings
    };
    assert_eq!(warnings(0o600).len(), 0);
    assert_eq!(warnings(0o644).len(), 1);
}

#[test]
fn a_missing_file_names_its_path_and_keeps_its_cause() {
    let error = Callers::load(Path::new("/nowhere/keys.yaml")).unwrap_err();
    assert_eq!(
        crate::errors::Chain(&error).to_string(),
        "read keys file `/nowhere/keys.yaml`: No such file or directory (os error 2)"
    );
}

const POLICY: &str = "callers:\n- name: tender-platform\n  department: 示例市公共资源交易中心\n  roles: [business]\n  \
                      matters: [{scenario: tender, regions: [\"329900\"]}]\n- {name: gone, department: 市, roles: \
                      [list_source]}\n";

fn under(policy: &Policy) -> Given<'_> {
    Given {
        policy: Some(policy),
        tokens: None,
    }
}

#[test]
fn under_a_policy_it_alone_says_what_a_caller_may() {
    let policy = Policy::parse(POLICY).unwrap();
    let other = hash_key("other-key");
    let callers = file::parse(
        &format!(
            "callers:\n- {{name: tender-platform, key_sha256: {ABC}}}\n- {{name: new, key_sha256: {other}}}\n"
        ),
        under(&policy),
    )
    .unwrap();
    let known = |key: &str| callers.authenticate(&Shown::authorization(key)).unwrap();
    let platform = known("Bearer abc");
    assert_eq!(platform.permit(Permission::Check), Ok(()));
    assert_eq!(
        platform.permit(Permission::Read),
        Err(NotPermitted::Lacks(&[Permission::Read]))
    );
    let question = |region: &str| Question {
        source: "tender-platform",
        scenario: "tender",
        stage: "evaluate",
        region: Region::parse(region).unwrap(),
        purpose: None,
        item: None,
    };
    assert_eq!(platform.asks_about(question("329905")), Ok(()));
    assert_eq!(
        platform.asks_about(question("320100")),
        Err(NotPermitted::Outside(Outside::Region))
    );
    let event = |region: &str| v1::Event {
        scenario: "tender".to_owned(),
        stage: "award".to_owned(),
        region: region.to_owned(),
        ..v1::Event::default()
    };
    assert!(platform.reads(Some(&event("329900"))));
    assert!(!platform.reads(Some(&event("?"))));
    assert!(!platform.reads(None));
    assert_eq!(
        known("Bearer other-key").asks_about(question("329905")),
        Err(NotPermitted::Outside(Outside::Scenario))
    );
    assert!(
        !Permission::EVERY
            .iter()
            .any(|one| known("Bearer other-key").may(*one))
    );
    assert_eq!(
        callers.unlike(&policy),
        [
            "line 6 of the access policy: the keys file does not name `gone`",
            "the access policy does not name `new`: it may do nothing"
        ]
    );
    let faults = file::parse(
        &format!("callers:\n- {{name: tender-platform, key_sha256: {ABC}, may: [read]}}\n"),
        under(&policy),
    )
    .unwrap_err();
    assert!(faults[0].contains("leave out `may`"), "{faults:?}");
}

#[test]
fn in_full_is_for_whoever_may_and_says_why_in_words_that_can_be_kept() {
    const REVIEWER: &str = "callers:\n- {name: zhao.liu, department: 市, roles: [reviewer], unmasked: true, matters: \
                            [{scenario: \"*\", regions: [\"329900\"]}]}\n";
    let policy = Policy::parse(REVIEWER).unwrap();
    let keys = format!("callers:\n- {{name: zhao.liu, key_sha256: {ABC}}}\n");
    let callers = file::parse(&keys, under(&policy)).unwrap();
    let caller = callers
        .authenticate(&Shown::authorization("Bearer abc"))
        .unwrap();
    let asked = || {
        let mut request = Request::new(());
        request.extensions_mut().insert(caller.clone());
        request
    };
    let is_masked = |reason: &[u8]| {
        let mut request = asked();
        let reason = MetadataValue::from_bytes(reason);
        request.metadata_mut().insert_bin(REASON_BIN, reason);
        permitted_to_see(&request, Permission::Read).map(|(_, sees)| sees.masked)
    };
    assert!(!is_masked("复核示例1号".as_bytes()).unwrap());
    assert!(is_masked(b"  ").unwrap());
    let (_, sees) = permitted_to_see(&asked(), Permission::Read).unwrap();
    assert!(sees.masked);
    let mut request = asked();
    let reason = "review 1".parse().unwrap();
    request.metadata_mut().insert(REASON, reason);
    let (_, sees) = permitted_to_see(&request, Permission::Read).unwrap();
    assert!(!sees.masked);
    let long = "长".repeat(201);
    let number = "查91219999MAYG58BR3Q";
    for unfit in [
        long.as_bytes(),
        number.as_bytes(),
        &b"\xff"[..],
        &b"a\nb"[..],
    ] {
        let refused = is_masked(unfit).unwrap_err();
        assert_eq!(refused.code(), tonic::Code::InvalidArgument);
        assert!(!refused.message().contains("91219999"), "{refused:?}");
    }
}

#[test]
fn without_a_policy_permissions_are_all_that_limits() {
    let caller = two()
        .authenticate(&Shown::authorization("Bearer abc"))
        .unwrap();
    let question = Question {
        source: "any",
        scenario: "any",
        stage: "any",
        region: Region::NATION,
        purpose: None,
        item: None,
    };
    assert_eq!(caller.asks_about(question), Ok(()));
    assert!(caller.reads(None));
    assert_eq!(caller.take_one(), Ok(()));
    assert!(Caller::kafka().may(Permission::Check));
    assert_eq!(Caller::kafka().asks_about(question), Ok(()));
}

/// A caller `platform` with this key, known by this certificate too, under a policy that says this.
fn platform(key: &str, certificate: Option<&str>, said: &str) -> Callers {
    let policy = format!(
        "callers:\n- {{name: platform, department: 示例市, matters: [{{scenario: tender, regions: [\"329900\"]}}], {said}}}\n"
    );
    let policy = Policy::parse(&policy).unwrap();
    let certificate = certificate.map(|name| format!(", certificate: \"{name}\""));
    let key = hash_key(key);
    let text = format!(
        "callers:\n- {{name: platform, key_sha256: {key}{}}}\n",
        certificate.unwrap_or_default()
    );
    file::parse(&text, under(&policy)).unwrap()
}

const BUSINESS: &str = "roles: [business]";

#[test]
fn what_was_counted_of_a_caller_outlives_a_reload() {
    let one = "roles: [business, window_clerk], reports_per_hour: 1";
    let callers = platform("k", None, one);
    let ask = || {
        let caller = callers.authenticate(&Shown::authorization("Bearer k"));
        caller.unwrap().permit_report(&ReportAsked::default())
    };
    assert_eq!(ask(), Ok(()));
    assert!(ask().is_err());
    callers.renew(&platform("k", Some("platform.example"), one));
    assert!(ask().is_err(), "counted on");
    let two = "roles: [business, window_clerk], reports_per_hour: 2";
    callers.renew(&platform("k", None, two));
    assert_eq!(ask(), Ok(()), "agreed anew");
}

#[test]
fn who_stands_is_asked_after_when_it_is_read_again() {
    let callers = platform("k", None, BUSINESS);
    let begin = |key: &str| {
        let caller = callers.authenticate(&Shown::authorization(&format!("Bearer {key}")));
        Standing::new(caller.unwrap(), Permission::Check)
    };
    let mut standing = begin("k");
    assert!(standing.still().is_ok());
    // Known in one more way, and with another policy: it goes on, with what holds now.
    callers.renew(&platform("k", Some("platform.example"), BUSINESS));
    let elsewhere = "roles: [business, auditor]";
    callers.renew(&platform("k", Some("platform.example"), elsewhere));
    let now = standing.still().expect("it goes on");
    assert!(now.may(Permission::Audit));
    // One way less.
    callers.renew(&platform("k", None, elsewhere));
    assert_eq!(standing.still().err(), Some(Ended::Unknown));
    assert_eq!(standing.still().err(), Some(Ended::Unknown));

    let mut standing = begin("k");
    callers.renew(&platform("k", None, "roles: [auditor]"));
    let lacks = NotPermitted::Lacks(&[Permission::Check]);
    let ended = Some(Ended::NotPermitted(lacks));
    assert_eq!(standing.still().err(), ended);
    assert_eq!(standing.still().err(), ended);

    // Who began before another reload that nobody looked at.
    let caller = callers.authenticate(&Shown::authorization("Bearer k"));
    callers.renew(&platform("other", None, "roles: [auditor]"));
    let mut late = Standing::new(caller.unwrap(), Permission::Audit);
    assert_eq!(late.still().err(), Some(Ended::Unknown));
}

#[test]
fn a_stream_shows_what_may_be_seen_now_and_in_full_only_if_it_did_before() {
    let callers = platform("k", None, "roles: [auditor], unmasked: true");
    let caller = callers.authenticate(&Shown::authorization("Bearer k"));
    let caller = caller.unwrap();
    let masked = caller.permit_to_see(Permission::Watch, None).unwrap();
    let reason = Some("复核示例1号");
    let full = caller.permit_to_see(Permission::Watch, reason).unwrap();
    assert!(masked.masked && !full.masked && full.list("B07"));
    let mut standing = Standing::new(caller, Permission::Watch);
    let one_list = "roles: [auditor], unmasked: true, lists: [B02]";
    callers.renew(&platform("k", None, one_list));
    let now = standing.still().expect("it goes on");
    assert!(now.still_sees(&masked).masked);
    let seen = now.still_sees(&full);
    assert!(!seen.masked && seen.list("B02") && !seen.list("B07"));
    callers.renew(&platform("k", None, "roles: [auditor]"));
    let now = standing.still().expect("it goes on");
    assert!(now.still_sees(&full).masked);
}

#[test]
fn more_reports_an_hour_than_agreed_wait() {
    let clerk = "callers:\n- {name: clerk, department: 示例市, roles: [window_clerk], reports_per_hour: 1}\n";
    let policy = Policy::parse(clerk).unwrap();
    let keys = format!("callers:\n- {{name: clerk, key_sha256: {ABC}}}\n");
    let callers = file::parse(&keys, under(&policy)).unwrap();
    let caller = callers.authenticate(&Shown::authorization("Bearer abc"));
    let mut request = Request::new(());
    request.extensions_mut().insert(caller.unwrap());
    let asked = ReportAsked::default();
    assert!(permitted_report(&request, &asked).is_ok());
    let refused = permitted_report(&request, &asked).unwrap_err();
    assert_eq!(refused.code(), tonic::Code::ResourceExhausted);
}
