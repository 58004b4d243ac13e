//! How books come into force: whole, vouched for, and never silently another one.

mod support;

use std::path::PathBuf;

use creditgate_measures::book::{Book, Signing, SourceFile};
use creditgate_measures::case::CaseView;
use creditgate_measures::event::{Event, GivenIdentifier, Region, Subject};
use creditgate_measures::identifier::{IdType, Key, invented};
use creditgate_measures::name::NormalName;
use creditgate_measures::time::Time;
use creditgate_measures::verdict::Verdict;
use creditgate_measures::vocabulary::{Confidence, Role};
use creditgate_measures::{Question, decide};
use creditgate_proto::v1;
use creditgate_registry::book::{
    Confirmation, InForce, Publication, PublishError, Refusal, Signature, TrustedKeys, Untrusted,
    Withdrawal, seal,
};
use creditgate_registry::log::What;
use creditgate_registry::{Error, Registry};
use creditgate_runtime::ports::History;
use creditgate_runtime::signing::{SigningKey, generate};
use support::{Place, row, rows};

/// A pair of keys.
struct Keys {
    key: SigningKey,
    trusted: TrustedKeys,
    _dir: tempfile::TempDir,
}

fn keys() -> Keys {
    let dir = tempfile::tempdir().expect("a directory");
    let made = generate().expect("keys");
    let write = |name: &str, text: &str| -> PathBuf {
        let path = dir.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path
    };
    let private = write("key.pem", &made.private_pem);
    Keys {
        key: SigningKey::load(&private).expect("a key"),
        trusted: TrustedKeys::load(&[write("pub.pem", &made.public_pem)]).expect("a key"),
        _dir: dir,
    }
}

/// The files with a remark more: another book of the same content.
fn edition(files: &[SourceFile], remark: &str) -> Vec<SourceFile> {
    let mut files = files.to_vec();
    let head = files.iter_mut().find(|file| file.path == "book.yaml");
    head.expect("its head").text += &format!("\n# {remark}\n");
    files
}

fn pack(files: &[SourceFile], key: Option<&SigningKey>) -> Vec<u8> {
    seal(files, key, Time::from_micros(0), "tests")
}

async fn publish(
    registry: &Registry,
    place: &Place,
    pack: Vec<u8>,
) -> Result<InForce, PublishError> {
    let publication = Publication {
        pack,
        reason: "示例".to_owned(),
        ..Publication::default()
    };
    registry.publish_book(publication, &place.caller).await
}

fn version(registry: &Registry) -> String {
    registry.live().load().book.version().to_string()
}

fn standing(place: &Place) -> (bool, String) {
    let told = place.readiness.snapshot();
    (told.ready, format!("{:?}", told.components))
}

fn event(firm: u64) -> Event {
    let given = GivenIdentifier {
        id_type: IdType::Uscc,
        value: creditgate_measures::event::Sensitive::new(invented::uscc(firm)),
        issuer: None,
    };
    Event {
        source: "test".into(),
        id: "1".into(),
        case_id: "C1".into(),
        scenario: "tender".into(),
        stage: "evaluate".into(),
        occurred_at: now(),
        clock_filled: false,
        region: Region::parse("320500").expect("a region"),
        item_code: None,
        amount_fen: None,
        purpose: None,
        subjects: vec![Subject::new(None, Role::Bidder, None, Some(given), None)],
        attributes: std::collections::BTreeMap::new(),
    }
}

fn now() -> Time {
    Time::from_micros(1_800_000_000_000_000)
}

fn judge(
    lists: &creditgate_measures::lists::Lists,
    book: &creditgate_measures::book::Book,
) -> Verdict {
    let event = event(1);
    decide(
        Question::about(&event),
        now(),
        &CaseView::default(),
        lists,
        book,
    )
}

#[tokio::test]
async fn a_published_book_is_in_force_at_once_and_verdicts_of_before_are_told_again() {
    let place = Place::new();
    let registry = place.open();
    place.import(&registry, support::header(), rows(0..9)).await;
    let before = registry.live().load_full();
    assert_eq!(*before.book.signing(), Signing::Unsigned);
    let first = judge(&before.lists, &before.book);
    assert_eq!(
        first.flags.first().map(|flag| flag.code()),
        Some("book_unsigned")
    );

    let second = edition(&place.book, "second");
    let done = publish(&registry, &place, pack(&second, None)).await;
    let done = done.expect("a sound book");
    let after = registry.live().load_full();
    assert_eq!(done.book, after.book.version());
    assert_ne!(done.book, before.book.version());
    assert_eq!(done.lists, after.lists.version());
    assert_eq!(done.lists.seq, before.lists.version().seq + 1);
    assert_eq!(after.lists.len(), 9);

    let book = registry
        .past()
        .book(first.book_version)
        .expect("the old book");
    let lists = registry
        .past()
        .lists_as_of(first.list_version, &event(1), &book)
        .expect("the old lists");
    assert_eq!(judge(&lists, &book).digest, first.digest);
    assert_ne!(judge(&after.lists, &after.book).digest, first.digest);

    // The same once more records nothing; a caller that expects another book is told.
    let again = publish(&registry, &place, pack(&second, None)).await;
    assert!(again.expect("known").unchanged);
    let expecting = Publication {
        pack: pack(&place.book, None),
        reason: "示例".to_owned(),
        expected: Some(first.book_version.to_string()),
        ..Publication::default()
    };
    let refused = registry.publish_book(expecting, &place.caller).await;
    assert!(matches!(refused, Err(PublishError::OtherBook { .. })));
    assert_eq!(registry.live().load().lists.version(), done.lists);
    registry.close().await;
}

#[tokio::test]
async fn what_is_wrong_keeps_the_last_good_book_and_is_shown_until_one_is_taken() {
    let (ours, other) = (keys(), keys());
    let mut place = Place::new();
    place.trusted_keys = ours.trusted.clone();
    let mut elsewhere = Place::new();
    elsewhere.trusted_keys = ours.trusted.clone();
    assert!(
        matches!(
            elsewhere.try_open(),
            Err(Error::Book(Refusal::Untrusted(_)))
        ),
        "an unsigned book is refused at the start"
    );
    place.signature = Some(Signature::of(&Book::content_hash(&place.book), &ours.key));
    let registry = place.open();
    let good = version(&registry);
    let head = registry.past().log().head().sequence;

    let broken = edition(&place.book, "x\nnonsense: true");
    let next = edition(&place.book, "next");
    let mut tampered = pack(&next, Some(&ours.key));
    let at = tampered.len() / 2;
    tampered[at] ^= 1;
    for (what, bytes, told) in [
        ("broken", pack(&broken, Some(&ours.key)), "nonsense"),
        ("unsigned", pack(&next, None), "signed books only"),
        ("other key", pack(&next, Some(&other.key)), "does not trust"),
        ("tampered", tampered, "pack"),
        ("no pack", b"book: x".to_vec(), "no pack"),
    ] {
        let refused = publish(&registry, &place, bytes).await;
        let refused = refused.expect_err(what);
        assert!(matches!(refused, PublishError::Refused(_)), "{refused}");
        assert!(refused.to_string().contains(told), "{what}: {refused}");
        // What is no book at all says nothing about a book.
        let told = match refused {
            PublishError::Refused(Refusal::Pack(_)) => "does not trust",
            _ => told,
        };
        let (ready, shown) = standing(&place);
        assert!(ready && shown.contains(told), "{what}: {shown}");
        assert_eq!(version(&registry), good);
    }
    assert_eq!(registry.past().log().head().sequence, head);
    let refused = "creditgate_book_refused_total 5";
    assert!(place.metrics.render().contains(refused));

    let done = publish(&registry, &place, pack(&next, Some(&ours.key))).await;
    let signed = Signing::Signed {
        key_id: ours.key.key_id().into(),
    };
    assert_eq!(*registry.live().load().book.signing(), signed);
    assert_eq!(
        done.expect("a sound book").book.to_string(),
        version(&registry)
    );
    assert!(standing(&place).1.contains("Ready") && !standing(&place).1.contains("ReadyBut"));
    let verdict = {
        let live = registry.live().load_full();
        judge(&live.lists, &live.book)
    };
    assert!(
        verdict
            .flags
            .iter()
            .all(|flag| flag.code() != "book_unsigned")
    );
    registry.close().await;

    // A deployment that trusts another key does not go on with it.
    place.trusted_keys = other.trusted.clone();
    assert!(matches!(
        place.try_open(),
        Err(Error::Untrusted(Untrusted::OtherKey { .. }))
    ));
    // Given a book that it trusts, it does.
    place.signature = Some(Signature::of(&Book::content_hash(&place.book), &other.key));
    let registry = loop {
        // The log of the start that failed is closed by a thread of its own.
        match place.try_open() {
            Err(Error::Log(_)) => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
            opened => break opened.expect("a trusted book"),
        }
    };
    assert_ne!(version(&registry), good);
    registry.close().await;
}

#[tokio::test]
async fn a_published_book_stays_over_restarts_and_an_older_one_comes_back() {
    let mut place = Place::new();
    let built_in = place.book.clone();
    let registry = place.open();
    let first = version(&registry);
    let second = edition(&built_in, "second");
    publish(&registry, &place, pack(&second, None))
        .await
        .expect("a sound book");
    let published = version(&registry);
    registry.close().await;

    place.book = edition(&built_in, "third");
    let registry = place.open();
    assert_eq!(version(&registry), published, "given books replace nothing");
    registry.close().await;
    // Nor does a broken one matter.
    place.book = edition(&built_in, "x\nnonsense: true");
    let registry = place.open();
    assert_eq!(version(&registry), published);
    let head = registry.past().log().head().sequence;
    registry.close().await;

    // What the deployment says is taken anew, and the book stays.
    let list = registry.live().load().book.lists()[0].code.to_string();
    place
        .deployment
        .not_connected
        .insert(list, "no source yet".to_owned());
    let registry = place.open();
    let changed = version(&registry);
    assert_ne!(changed, published);
    assert_eq!(registry.past().log().head().sequence, head + 1);
    registry.close().await;
    let registry = place.open();
    assert_eq!(version(&registry), changed);
    registry.close().await;
    place
        .deployment
        .not_connected
        .insert("B99".to_owned(), "no such list".to_owned());
    let registry = place.open();
    assert_eq!(version(&registry), changed, "as it was before");
    assert!(registry.book_refused().is_some());
    registry.close().await;
    place.deployment.not_connected.clear();

    let registry = place.open();
    assert_eq!(version(&registry), published);
    let back = publish(&registry, &place, pack(&built_in, None)).await;
    assert_eq!(back.expect("rolled back").book.to_string(), first);
    assert_eq!(version(&registry), first);
    registry.close().await;
    let registry = place.open();
    assert_eq!(version(&registry), first);
    for version in [&first, &published, &changed] {
        let bytes: Vec<u8> = (0..32)
            .map(|at| u8::from_str_radix(&version[2 * at..2 * at + 2], 16).expect("digits"))
            .collect();
        let version = creditgate_measures::book::BookVersion(bytes.try_into().expect("a version"));
        assert_eq!(
            registry
                .past()
                .book(version)
                .expect("an earlier book")
                .version(),
            version
        );
    }
    registry.close().await;
}

#[tokio::test]
async fn a_published_book_brings_its_names_with_it() {
    let place = Place::new().with_overlay_min(10);
    let registry = place.open();
    let named = v1::Entry {
        name: "示例龜甲公司".to_owned(),
        ..row(7)
    };
    place
        .import(&registry, support::header(), vec![named])
        .await;
    place
        .import(&registry, support::header(), rows(10..2_000))
        .await;
    let mut files = place.book.clone();
    let names = files
        .iter_mut()
        .find(|file| file.path == "names/simplify.txt")
        .expect("a table");
    let kept: Vec<&str> = names
        .text
        .lines()
        .filter(|l| !l.starts_with('龜'))
        .collect();
    names.text = format!("{}\n龜 龟\n甲 乙\n", kept.join("\n"));
    publish(&registry, &place, pack(&files, None))
        .await
        .expect("a sound book");
    place
        .import(&registry, support::header(), rows(2_000..2_100))
        .await;
    let found = |registry: &Registry| {
        let live = registry.live().load_full();
        assert!(live.lists.normalised_by(live.book.simplify()));
        let name = NormalName::new("示例龟乙公司", live.book.simplify()).expect("a name");
        let mut found = 0;
        live.lists.find(Key::name(&name), |_| found += 1);
        (found, live.lists.len())
    };
    assert_eq!(found(&registry), (1, 2_091));
    let before = support::dump(&registry);
    registry.close().await;
    let registry = place.open();
    assert_eq!(found(&registry), (1, 2_091));
    assert_eq!(support::dump(&registry), before);
    registry.close().await;
}

#[tokio::test]
async fn a_confirmed_row_is_active_until_its_book_has_it_no_more() {
    let mut place = Place::new();
    let registry = place.open();
    let inactive = {
        let live = registry.live().load();
        let mut rows = live.book.measures().iter();
        rows.find(|row| !row.active)
            .expect("an inactive row")
            .id
            .to_string()
    };
    let confirmation = |measure: &str| Confirmation {
        measure: measure.to_owned(),
        confirmed_by: "示例市信用办".to_owned(),
        document: "示例〔2026〕1号".to_owned(),
        published_at: Some("2025-01-01".to_owned()),
        published_in: Some("示例公报".to_owned()),
        effective_from: Some("2025-02-01".to_owned()),
    };
    let active = |registry: &Registry| {
        let live = registry.live().load();
        let mut rows = live.book.measures().iter();
        rows.any(|row| row.id.as_str() == inactive && row.active)
    };
    let nobody = registry
        .confirm_row(confirmation("NONE"), &place.caller)
        .await;
    assert!(matches!(nobody, Err(PublishError::Invalid(_))));
    let sound = {
        let live = registry.live().load();
        let mut rows = live.book.measures().iter();
        rows.find(|row| row.active && row.confidence == Confidence::Verified)
            .expect("a verified row")
            .id
            .to_string()
    };
    let told = registry
        .confirm_row(confirmation(&sound), &place.caller)
        .await
        .expect_err("nothing to confirm");
    let nothing = format!("{sound} is in force and verified: there is nothing to confirm");
    assert!(told.to_string().contains(&nothing), "{told}");
    let incomplete = Confirmation {
        published_at: None,
        ..confirmation(&inactive)
    };
    let refused = registry.confirm_row(incomplete, &place.caller).await;
    assert!(refused.is_err() && !active(&registry));
    registry
        .confirm_row(confirmation(&inactive), &place.caller)
        .await
        .expect("confirmed");
    assert!(active(&registry));
    let confirmed = version(&registry);
    registry.close().await;
    let registry = place.open();
    assert_eq!(version(&registry), confirmed);
    registry.close().await;

    // The book was not published: another that the process is given replaces it, with the row.
    let built_in = std::mem::take(&mut place.book);
    place.book = edition(&built_in, "given");
    let registry = place.open();
    assert_ne!(version(&registry), confirmed);
    assert!(active(&registry));
    registry.close().await;
    place.book = built_in;
    let registry = place.open();
    assert_eq!(version(&registry), confirmed);

    // Taken back, it is as it was; nothing is taken back twice.
    let withdrawal = Withdrawal {
        measure: inactive.clone(),
        withdrawn_by: "示例市信用办".to_owned(),
        document: "示例〔2026〕2号".to_owned(),
    };
    let taken_back = registry
        .withdraw_row(withdrawal.clone(), &place.caller)
        .await;
    assert!(taken_back.is_ok() && !active(&registry));
    let past = registry.past().clone();
    let last = past
        .log()
        .read_from_seq(past.log().head().sequence)
        .next()
        .expect("a record")
        .expect("a record");
    let What::Book(last) = last.what else {
        panic!("{last:?}")
    };
    assert_eq!((&*last.origin, last.stays), ("confirmed", false));
    assert!(
        last.reason.contains("撤回") && last.reason.contains("示例〔2026〕2号（示例市信用办）")
    );
    let twice = registry.withdraw_row(withdrawal, &place.caller).await;
    assert!(matches!(twice, Err(PublishError::Invalid(_))));
    registry
        .confirm_row(confirmation(&inactive), &place.caller)
        .await
        .expect("confirmed again");
    assert_eq!(version(&registry), confirmed);

    // It goes over to the next book that has the row, and ends with one that has it not.
    let next = edition(&place.book, "next");
    let done = publish(&registry, &place, pack(&next, None)).await;
    let done = done.expect("a sound book");
    assert!(done.confirmations_ended.is_empty());
    assert_eq!(done.confirmations_kept, std::slice::from_ref(&inactive));
    assert!(active(&registry));
    let mut without = place.book.clone();
    let row = format!("  - id: {inactive}\n");
    for file in &mut without {
        if let Some((before, after)) = file.text.split_once(&row) {
            let rest = after.find("\n  - id: ").map_or("", |at| &after[at + 1..]);
            file.text = format!("{before}{rest}");
        }
    }
    // A simulation of it sees what publishing it will do.
    let now = registry.live().load().book.version();
    let candidate = registry.past().candidate(now, &without).expect("a book");
    assert_eq!(
        candidate.confirmations_ended,
        std::slice::from_ref(&inactive)
    );
    let done = publish(&registry, &place, pack(&without, None)).await;
    assert_eq!(
        candidate.book.version(),
        registry.live().load().book.version()
    );
    assert_eq!(
        done.expect("a sound book").confirmations_ended,
        std::slice::from_ref(&inactive)
    );
    assert!(!active(&registry));
    registry.close().await;
}

#[tokio::test]
async fn nobody_vouches_for_a_signed_book_where_no_key_is_trusted_any_more() {
    let ours = keys();
    let mut place = Place::new();
    place.trusted_keys = ours.trusted.clone();
    place.signature = Some(Signature::of(&Book::content_hash(&place.book), &ours.key));
    let registry = place.open();
    let next = edition(&place.book, "next");
    publish(&registry, &place, pack(&next, Some(&ours.key)))
        .await
        .expect("a sound book");
    let signed = version(&registry);
    registry.close().await;
    place.trusted_keys = TrustedKeys::default();
    let registry = place.open();
    assert_eq!(*registry.live().load().book.signing(), Signing::Unsigned);
    assert_ne!(version(&registry), signed);
    registry.close().await;
    place.trusted_keys = ours.trusted.clone();
    let registry = place.open();
    assert_eq!(version(&registry), signed, "its signature is still there");
    registry.close().await;
}

#[tokio::test]
async fn a_book_too_large_for_the_change_log_is_refused_at_once() {
    let place = Place::new();
    let registry = place.open();
    let good = version(&registry);
    let large = edition(&place.book, &"x".repeat(16 << 20));
    let refused = publish(&registry, &place, pack(&large, None)).await;
    let told = refused.expect_err("too large");
    assert!(matches!(told, PublishError::Invalid(_)));
    assert!(told.to_string().contains("at most 16711680"), "{told}");
    assert_eq!(version(&registry), good);
    registry.close().await;
}
