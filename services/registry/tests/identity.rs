//! What is known of subjects beyond what sources state: it reaches entries, stays with them, and goes
//! again when it is taken back.

mod support;

use std::collections::{BTreeMap, BTreeSet};

use creditgate_measures::case::CaseView;
use creditgate_measures::entry::Entry;
use creditgate_measures::event::{Event, GivenIdentifier, Region, Sensitive, Subject};
use creditgate_measures::identifier::{IdType, Identifier, invented};
use creditgate_measures::time::Time;
use creditgate_measures::vocabulary::Role;
use creditgate_measures::{Question, decide};
use creditgate_proto::v1::{
    self, identity_server::Identity as _, procedures_server::Procedures as _,
};
use creditgate_registry::{IdentityService, ProceduresService, Registry};
use creditgate_runtime::journal::Position;
use support::random::Random;
use support::{Place, confirm, counts, header, row, rows, state};
use tonic::{Code, Request, Status};

struct Desk {
    place: Place,
    registry: Registry,
    identity: IdentityService,
}

impl Desk {
    fn new() -> Self {
        Self::over(Place::new())
    }

    fn over(place: Place) -> Self {
        let registry = place.open();
        let identity = IdentityService::new(registry.clone());
        Self {
            place,
            registry,
            identity,
        }
    }

    fn ask<T>(&self, asked: T) -> Request<T> {
        let mut request = Request::new(asked);
        request.extensions_mut().insert(self.place.caller.clone());
        request
    }

    async fn import(&self, rows: Vec<v1::Entry>) -> String {
        counts(&self.place.import(&self.registry, header(), rows).await)
    }

    async fn merge(&self, one: v1::Alias, other: v1::Alias) -> Result<u64, Status> {
        let asked = v1::MergeSubjectsRequest {
            one: Some(one),
            other: Some(other),
            reason: "重复主体".to_owned(),
            document_no: "示例合并1号".to_owned(),
            force: false,
        };
        let done = self.identity.merge_subjects(self.ask(asked)).await?;
        Ok(done.into_inner().change)
    }

    async fn undo(&self, change: u64) -> Vec<String> {
        let asked = v1::UndoChangeRequest {
            change,
            document_no: String::new(),
            reason: "合并有误".to_owned(),
        };
        let done = self.identity.undo_change(self.ask(asked)).await;
        done.expect("taken back").into_inner().entry_ids
    }

    async fn rename(&self, subject: v1::Alias, name: &str, since: &str) -> u64 {
        self.rename_until(subject, name, since, "").await
    }

    async fn rename_until(&self, subject: v1::Alias, name: &str, since: &str, until: &str) -> u64 {
        let asked = v1::ChangeNameRequest {
            subject: Some(subject),
            name: name.to_owned(),
            since: since.to_owned(),
            until: until.to_owned(),
            document_no: "示例变更1号".to_owned(),
            reason: "企业更名".to_owned(),
        };
        let done = self.identity.change_name(self.ask(asked)).await;
        done.expect("renamed").into_inner().change
    }

    async fn code(&self, entry_id: &str, n: u64, confirm: bool) -> Result<u64, Status> {
        let asked = v1::DecideCodeRequest {
            entry_id: entry_id.to_owned(),
            identifier: Some(uscc(n)),
            confirm,
            document_no: String::new(),
            reason: "人工核对".to_owned(),
        };
        let done = self.identity.decide_code(self.ask(asked)).await?;
        Ok(done.into_inner().change)
    }

    async fn proposed(&self) -> Vec<(String, Vec<String>)> {
        let asked = v1::ListCodeProposalsRequest::default();
        let answer = self.identity.list_code_proposals(self.ask(asked)).await;
        let proposals = answer.expect("proposals").into_inner().proposals;
        let shown = |candidate: v1::CodeCandidate| {
            let why: Vec<_> = candidate.evidence.into_iter().map(|e| e.kind).collect();
            let identifier = candidate.identifier.unwrap_or_default();
            format!("{} {}", identifier.id, why.join(" "))
        };
        proposals
            .into_iter()
            .map(|p| (p.entry_id, p.candidates.into_iter().map(shown).collect()))
            .collect()
    }

    async fn subject(&self, alias: v1::Alias, as_of: u64) -> v1::GetSubjectResponse {
        let asked = v1::GetSubjectRequest {
            subject: Some(v1::SubjectQuery {
                id_type: alias.id_type,
                id: alias.id,
                ..Default::default()
            }),
            as_of: match as_of {
                0 => String::new(),
                seq => seq.to_string(),
            },
            at: None,
        };
        let answer = self.identity.get_subject(self.ask(asked)).await;
        answer.expect("a subject").into_inner()
    }

    fn entry(&self, n: u64) -> Entry {
        let lists = self.registry.live().load_full().lists.clone();
        lists.entry(&support::id(n)).expect("an entry")
    }

    fn seq(&self) -> u64 {
        self.registry.live().load_full().lists.version().seq
    }
}

fn uscc(n: u64) -> v1::Alias {
    alias("USCC", invented::uscc(n))
}

fn reg15(n: u64) -> v1::Alias {
    alias("REG15", invented::reg15(n))
}

fn alias(id_type: &str, id: String) -> v1::Alias {
    v1::Alias {
        id_type: id_type.to_owned(),
        id,
        issuer: String::new(),
    }
}

/// The row of an old registration number.
fn old_row(n: u64) -> v1::Entry {
    v1::Entry {
        id_type: "REG15".to_owned(),
        id: invented::reg15(n),
        ..row(n)
    }
}

fn nameless(n: u64, name: &str) -> v1::Entry {
    v1::Entry {
        id_type: String::new(),
        id: String::new(),
        name: name.to_owned(),
        ..row(n)
    }
}

/// Everything an entry says, apart from when that became known.
fn contents(registry: &Registry) -> BTreeMap<String, v1::Entry> {
    let lists = registry.live().load_full().lists.clone();
    let entries = lists
        .bodies()
        .map(|body| Entry::from_stored(body).expect("an entry"));
    entries
        .map(|entry| {
            let mut shown = creditgate_proto::entry_to_proto(&entry);
            shown.state_since.clear();
            (shown.entry_id.clone(), shown)
        })
        .collect()
}

fn names(entry: &Entry) -> String {
    let former: Vec<_> = entry.former_names.iter().map(Sensitive::reveal).collect();
    let name = entry.name.as_ref().map_or("", Sensitive::reveal);
    format!("{name} <- {}", former.join(", "))
}

fn aliases(entry: &Entry) -> BTreeSet<String> {
    let all = entry.identifier.iter().chain(&entry.aliases);
    all.map(|identifier| identifier.reveal().to_owned())
        .collect()
}

/// Ids of the entries that a decision about this subject comes upon.
fn hit(registry: &Registry, id_type: IdType, id: String) -> BTreeSet<String> {
    let generation = registry.live().load_full();
    let at = Time::parse("2026-06-01").expect("a day");
    let given = GivenIdentifier {
        id_type,
        value: Sensitive::new(id),
        issuer: None,
    };
    let event = Event {
        source: "test".into(),
        id: "1".into(),
        case_id: "C1".into(),
        scenario: "tender".into(),
        stage: "evaluate".into(),
        occurred_at: at,
        clock_filled: false,
        region: Region::parse("320500").expect("a region"),
        item_code: None,
        amount_fen: None,
        purpose: None,
        subjects: vec![Subject::new(None, Role::Bidder, None, Some(given), None)],
        attributes: BTreeMap::new(),
    };
    let judged = decide(
        Question::about(&event),
        at,
        &CaseView::default(),
        &generation.lists,
        &generation.book,
    );
    // Whatever it makes of an entry, it names it.
    let told = format!("{judged:?}");
    let named = |n: &u64| told.contains(&support::id(*n));
    (1..100).filter(named).map(support::id).collect()
}

#[tokio::test]
async fn a_name_change_stays_with_every_entry_and_the_same_file_changes_nothing() {
    let desk = Desk::new();
    desk.import(rows(1..4)).await;
    let change = desk.rename(uscc(1), "示例新名公司", "2026-03-01").await;
    assert_eq!(names(&desk.entry(1)), "示例新名公司 <- 示例第1号公司");
    assert_eq!(names(&desk.entry(2)), "示例第2号公司 <- ");
    assert_eq!(desk.import(rows(1..4)).await, "received 3 unchanged 3");

    // A row that comes later, with the old name and another id, is completed on arrival.
    let later = v1::Entry {
        entry_id: support::id(8),
        ..row(1)
    };
    assert_eq!(
        desk.import(vec![later.clone()]).await,
        "received 1 accepted 1"
    );
    assert_eq!(names(&desk.entry(8)), "示例新名公司 <- 示例第1号公司");
    assert_eq!(desk.import(vec![later]).await, "received 1 unchanged 1");

    // The next name makes the one before a former one, whatever the order of recording.
    let next = desk.rename(uscc(1), "示例再新公司", "2026-05-01").await;
    desk.rename(uscc(1), "示例中间公司", "2026-04-01").await;
    assert_eq!(
        names(&desk.entry(1)),
        "示例再新公司 <- 示例第1号公司, 示例新名公司, 示例中间公司"
    );
    let view = desk.subject(uscc(1), 0).await;
    let shown: Vec<_> = view
        .names
        .iter()
        .map(|name| {
            format!(
                "{} {} {}..{}",
                name.name, name.current, name.since, name.until
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            "示例再新公司 true 2026-05-01..",
            "示例中间公司 false 2026-04-01..2026-04-30",
            "示例新名公司 false 2026-03-01..2026-03-31",
            "示例第1号公司 false ..2026-02-28",
        ]
    );
    desk.undo(next).await;
    desk.undo(change).await;
    assert_eq!(names(&desk.entry(8)), "示例中间公司 <- 示例第1号公司");
    // Recorded already: nothing new.
    assert_eq!(desk.rename(uscc(1), "示例中间公司", "2026-04-01").await, 0);
}

#[tokio::test]
async fn a_newer_name_of_the_source_goes_before_a_recorded_one_and_a_former_one_stays_former() {
    let desk = Desk::new();
    desk.import(rows(1..4)).await;
    desk.rename(uscc(1), "示例新名公司", "2026-03-01").await;
    // Decided after the recorded day, under a name that nobody knew then: it is the newer one.
    let after = v1::Entry {
        entry_id: support::id(8),
        name: "示例后来公司".to_owned(),
        valid_from: "2026-05-20".to_owned(),
        ..row(1)
    };
    let before = v1::Entry {
        entry_id: support::id(9),
        name: "示例从前公司".to_owned(),
        valid_from: "2026-02-20".to_owned(),
        ..row(1)
    };
    let late = v1::Entry {
        entry_id: support::id(12),
        valid_from: "2026-05-20".to_owned(),
        ..row(1)
    };
    let arrived = vec![after, before, late];
    assert_eq!(desk.import(arrived.clone()).await, "received 3 accepted 3");
    assert_eq!(names(&desk.entry(8)), "示例后来公司 <- 示例新名公司");
    assert_eq!(names(&desk.entry(9)), "示例新名公司 <- 示例从前公司");
    // The name that was replaced is not a new one, however late a source still uses it.
    assert_eq!(names(&desk.entry(12)), "示例新名公司 <- 示例第1号公司");
    assert_eq!(desk.import(arrived).await, "received 3 unchanged 3");

    let former = desk
        .rename_until(uscc(2), "示例旧名公司", "2010-01-01", "2019-12-31")
        .await;
    assert_eq!(names(&desk.entry(2)), "示例第2号公司 <- 示例旧名公司");
    assert_eq!(desk.import(rows(1..4)).await, "received 3 unchanged 3");
    let view = desk.subject(uscc(2), 0).await;
    let of = |name: &&v1::KnownName| name.name == "示例旧名公司";
    let shown = view.names.iter().find(of).expect("shown");
    assert_eq!(
        (shown.current, shown.since.as_str(), shown.until.as_str()),
        (false, "2010-01-01", "2019-12-31")
    );
    desk.undo(former).await;
    assert_eq!(names(&desk.entry(2)), "示例第2号公司 <- ");
}

#[tokio::test]
async fn a_confirmed_code_that_its_source_contradicts_is_a_visible_difference() {
    let desk = Desk::new();
    desk.import(vec![row(1), nameless(10, "示例第1号公司")])
        .await;
    let confirmed = desk
        .code(&support::id(10), 1, true)
        .await
        .expect("confirmed");
    let stating = |n| {
        let alias = uscc(n);
        let entry = v1::Entry {
            id_type: alias.id_type,
            id: alias.id,
            ..nameless(10, "示例第1号公司")
        };
        vec![entry]
    };
    let seen = || -> Vec<String> {
        let known = desk.registry.desk();
        let differences = known.sources.differences_of("E-000010");
        differences
            .map(|(source, found)| format!("{source} {} {}", found.stands, found.fields.join(" ")))
            .collect()
    };
    assert_eq!(desk.import(stating(3)).await, "received 1 accepted 1");
    assert_eq!(
        aliases(&desk.entry(10)),
        BTreeSet::from([invented::uscc(3)])
    );
    assert_eq!(seen(), ["(here) 示例数据中心 id"]);
    assert_eq!(desk.import(stating(3)).await, "received 1 unchanged 1");
    // Once the source states the confirmed code, both agree.
    desk.import(stating(1)).await;
    assert_eq!(seen(), [""; 0]);
    // And nothing is overruled any more once the code is taken back.
    desk.import(stating(3)).await;
    assert_eq!(seen().len(), 1);
    desk.undo(confirmed).await;
    assert_eq!(seen(), [""; 0]);
    assert_eq!(desk.import(stating(3)).await, "received 1 unchanged 1");
}

#[tokio::test]
async fn a_linked_identifier_does_not_contradict_a_confirmed_code() {
    let desk = Desk::new();
    desk.import(vec![row(1), nameless(10, "示例第1号公司")])
        .await;
    let confirmed = desk.code(&support::id(10), 1, true).await;
    confirmed.expect("confirmed");
    desk.merge(uscc(1), reg15(1)).await.expect("merged");
    let old = v1::Entry {
        name: "示例第1号公司".to_owned(),
        id: invented::reg15(1),
        ..old_row(10)
    };
    desk.import(vec![old]).await;
    let known = desk.registry.desk();
    assert_eq!(known.sources.differences_of("E-000010").count(), 0);
}

#[tokio::test]
async fn a_correction_of_an_entry_as_shown_keeps_what_its_source_states() {
    let desk = Desk::new();
    desk.import(rows(1..2)).await;
    let change = desk.rename(uscc(1), "示例新名公司", "2026-03-01").await;
    let mut shown = creditgate_proto::entry_to_proto(&desk.entry(1));
    shown.reason = "更正事由".to_owned();
    shown.state_since.clear();
    let draft = creditgate_proto::entry_from_proto(&shown).expect("a draft");
    let put = creditgate_registry::change::Change::Put {
        draft: Box::new(draft),
        reason: "更正".to_owned(),
    };
    desk.registry
        .apply(put, &desk.place.caller)
        .await
        .expect("corrected");
    assert_eq!(names(&desk.entry(1)), "示例新名公司 <- 示例第1号公司");
    desk.undo(change).await;
    assert_eq!(names(&desk.entry(1)), "示例第1号公司 <- ");
}

#[tokio::test]
async fn an_undone_merge_leaves_what_there_would_be_without_it() {
    let (desk, never) = (Desk::new(), Desk::new());
    let first = vec![row(1), old_row(2), row(3)];
    let later = vec![
        v1::Entry {
            entry_id: support::id(11),
            ..row(1)
        },
        v1::Entry {
            entry_id: support::id(12),
            // The source itself states one of the identifiers that the merge brings.
            aliases: vec![uscc(1)],
            ..old_row(2)
        },
    ];
    desk.import(first.clone()).await;
    never.import(first).await;
    let merge = desk.merge(uscc(1), reg15(2)).await.expect("merged");
    assert_eq!(aliases(&desk.entry(1)), aliases(&desk.entry(2)));
    assert_eq!(desk.import(rows(1..2)).await, "received 1 unchanged 1");
    for desk in [&desk, &never] {
        assert_eq!(desk.import(later.clone()).await, "received 2 accepted 2");
        assert_eq!(desk.import(later.clone()).await, "received 2 unchanged 2");
        desk.registry
            .apply(state(&support::id(2), "SUSPENDED"), &desk.place.caller)
            .await
            .expect("suspended");
    }
    assert_eq!(aliases(&desk.entry(11)), aliases(&desk.entry(12)));
    assert_ne!(contents(&desk.registry), contents(&never.registry));
    let touched = desk.undo(merge).await;
    assert_eq!(touched, [support::id(1), support::id(2), support::id(11)]);
    assert_eq!(contents(&desk.registry), contents(&never.registry));
    assert_eq!(desk.import(later).await, "received 2 unchanged 2");
}

#[tokio::test]
async fn a_decision_finds_entries_under_both_identifiers_while_they_are_merged() {
    let desk = Desk::new();
    desk.import(vec![row(1), old_row(2)]).await;
    for list in ["B01", "B02"] {
        let confirmed = desk.registry.apply(confirm(list), &desk.place.caller).await;
        confirmed.expect("confirmed");
    }
    let ids = |numbers: &[u64]| {
        numbers
            .iter()
            .map(|n| support::id(*n))
            .collect::<BTreeSet<_>>()
    };
    let by_code = || hit(&desk.registry, IdType::Uscc, invented::uscc(1));
    let by_number = || hit(&desk.registry, IdType::Reg15, invented::reg15(2));
    assert_eq!((by_code(), by_number()), (ids(&[1]), ids(&[2])));
    let merge = desk.merge(uscc(1), reg15(2)).await.expect("merged");
    assert_eq!((by_code(), by_number()), (ids(&[1, 2]), ids(&[1, 2])));
    desk.undo(merge).await;
    assert_eq!((by_code(), by_number()), (ids(&[1]), ids(&[2])));
}

#[tokio::test]
async fn what_cannot_be_one_subject_is_refused() {
    let desk = Desk::new();
    desk.import(rows(1..3)).await;
    let refused = desk.merge(uscc(1), uscc(2)).await.expect_err("two codes");
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("force"), "{}", refused.message());
    let person = alias("ID18", invented::person(1));
    let refused = desk
        .merge(uscc(1), person.clone())
        .await
        .expect_err("a person");
    assert!(refused.message().contains("never one subject"));
    let other = alias("ID18", invented::person(2));
    assert!(desk.merge(person, other).await.is_err());
    let forced = v1::MergeSubjectsRequest {
        one: Some(uscc(1)),
        other: Some(uscc(2)),
        reason: "赋码重复".to_owned(),
        force: true,
        ..Default::default()
    };
    let done = desk.identity.merge_subjects(desk.ask(forced)).await;
    assert!(done.expect("forced").into_inner().change > 0);
    assert_eq!(desk.merge(uscc(2), uscc(1)).await.expect("known"), 0);
    let nobody = desk.merge(uscc(1), v1::Alias::default()).await;
    assert_eq!(nobody.expect_err("by name").code(), Code::InvalidArgument);
    let unknown = v1::UndoChangeRequest {
        change: 1,
        reason: "试".to_owned(),
        ..Default::default()
    };
    let unknown = desk.identity.undo_change(desk.ask(unknown)).await;
    assert_eq!(unknown.expect_err("no change").code(), Code::NotFound);
}

#[tokio::test]
async fn relations_begin_and_end_whatever_the_next_row_says() {
    let desk = Desk::new();
    let person = |n: u64| v1::RelatedSubject {
        role: "legal_representative".to_owned(),
        id_type: "ID18".to_owned(),
        id: invented::person(n),
        name: format!("示例{n}"),
        ..Default::default()
    };
    let stated = || v1::Entry {
        related: vec![person(1)],
        ..row(1)
    };
    desk.import(vec![stated()]).await;
    let change = |n, ended| {
        let asked = v1::ChangeRelationRequest {
            subject: Some(uscc(1)),
            related: Some(person(n)),
            ended,
            since: "2026-02-01".to_owned(),
            document_no: String::new(),
            reason: "法定代表人变更".to_owned(),
        };
        desk.identity.change_relation(desk.ask(asked))
    };
    let ended = change(1, true).await.expect("ended").into_inner().change;
    change(2, false).await.expect("begun");
    let related = || {
        let entry = desk.entry(1);
        let ids = entry.related.iter().filter_map(|r| r.identifier.as_ref());
        ids.map(|id| id.reveal().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(related(), [invented::person(2)]);
    assert_eq!(desk.import(vec![stated()]).await, "received 1 unchanged 1");
    let of_person = desk.subject(alias("ID18", invented::person(2)), 0).await;
    assert!(of_person.relations[0].inverse);
    assert_eq!(of_person.entries[0].found_by, "related");
    desk.undo(ended).await;
    assert_eq!(related(), [invented::person(1), invented::person(2)]);
}

#[tokio::test]
async fn codes_are_proposed_confirmed_by_a_person_and_survive_the_next_row() {
    let desk = Desk::new();
    let missing = nameless(10, "示例第1号公司");
    let person = v1::Entry {
        kind: "natural_person".to_owned(),
        ..nameless(11, "示例第1号公司")
    };
    let former = v1::Entry {
        name: "示例他名公司".to_owned(),
        former_names: vec!["示例第1号公司".to_owned()],
        ..row(2)
    };
    desk.import(vec![row(1), former, missing.clone(), person])
        .await;
    let code = |n| invented::uscc(n);
    assert_eq!(
        desk.proposed().await,
        [(
            support::id(10),
            vec![
                format!("{} current_name", code(1)),
                format!("{} former_name", code(2)),
            ]
        )]
    );
    // Nothing is applied by itself, and what was rejected is not proposed again.
    assert_eq!(desk.entry(10).identifier, None);
    desk.code(&support::id(10), 2, false)
        .await
        .expect("rejected");
    assert_eq!(
        desk.proposed().await[0].1,
        [format!("{} current_name", code(1))]
    );
    let confirmed = desk
        .code(&support::id(10), 1, true)
        .await
        .expect("confirmed");
    assert_eq!(aliases(&desk.entry(10)), BTreeSet::from([code(1)]));
    assert!(desk.proposed().await.is_empty());
    assert_eq!(desk.import(vec![missing]).await, "received 1 unchanged 1");
    assert_eq!(aliases(&desk.entry(10)), BTreeSet::from([code(1)]));
    assert!(desk.code(&support::id(10), 3, true).await.is_err());
    assert!(desk.code(&support::id(1), 3, true).await.is_err());
    assert!(desk.code(&support::id(11), 1, true).await.is_err());
    // A change about the subject reaches the entry by the confirmed code.
    desk.merge(uscc(1), reg15(7)).await.expect("merged");
    assert_eq!(
        aliases(&desk.entry(10)),
        BTreeSet::from([code(1), invented::reg15(7)])
    );
    desk.undo(confirmed).await;
    assert_eq!(aliases(&desk.entry(10)), BTreeSet::new());
}

#[tokio::test]
async fn a_declared_alias_leads_to_the_code() {
    let desk = Desk::new();
    let old = v1::Entry {
        name: "示例旧照公司".to_owned(),
        ..old_row(5)
    };
    desk.import(vec![old, nameless(10, "示例旧照公司")]).await;
    let asked = v1::DeclareAliasRequest {
        subject: Some(uscc(5)),
        alias: Some(reg15(5)),
        reason: "三证合一".to_owned(),
        ..Default::default()
    };
    desk.identity
        .declare_alias(desk.ask(asked))
        .await
        .expect("declared");
    let proposed = desk.proposed().await;
    assert!(
        proposed[0].1[0].starts_with(&format!("{} declared_alias", invented::uscc(5))),
        "{proposed:?}"
    );
}

#[tokio::test]
async fn what_is_known_of_subjects_survives_a_restart_with_and_without_a_base() {
    let desk = Desk::over(Place::new().with_overlay_min(1));
    desk.import(vec![row(1), old_row(2), nameless(3, "示例第1号公司")])
        .await;
    desk.merge(uscc(1), reg15(2)).await.expect("merged");
    let renamed = desk.rename(uscc(1), "示例新名公司", "2026-03-01").await;
    desk.code(&support::id(3), 9, false)
        .await
        .expect("rejected");
    let before = (
        contents(&desk.registry),
        desk.registry.desk().identity.clone(),
    );
    desk.registry.close().await;
    let Desk { place, .. } = desk;
    assert!(!support::base_files(place.dir()).is_empty());
    let desk = Desk::over(place);
    assert_eq!(
        (
            contents(&desk.registry),
            desk.registry.desk().identity.clone()
        ),
        before
    );
    desk.registry.close().await;
    let Desk { place, .. } = desk;
    for file in support::base_files(place.dir()) {
        std::fs::remove_file(file).expect("removed");
    }
    let desk = Desk::over(place);
    assert_eq!(
        (
            contents(&desk.registry),
            desk.registry.desk().identity.clone()
        ),
        before
    );
    desk.undo(renamed).await;
    assert_eq!(names(&desk.entry(2)), "示例第2号公司 <- ");
}

#[tokio::test]
async fn wrong_hits_stay_visible_until_corrected_and_told() {
    let desk = Desk::new();
    desk.import(rows(1..3)).await;
    let asked = v1::OpenWrongHitRequest {
        subject: Some(v1::SubjectQuery {
            id_type: "USCC".to_owned(),
            id: invented::uscc(7),
            ..Default::default()
        }),
        case_id: "C-2026-1".to_owned(),
        entry_id: support::id(1),
        what: "wrong_person".to_owned(),
        discovered_at: Time::parse("2026-01-10")
            .ok()
            .map(creditgate_proto::encode::time_to_proto),
        reason: "同名他人".to_owned(),
        ..Default::default()
    };
    let opened = desk.identity.open_wrong_hit(desk.ask(asked)).await;
    let opened = opened
        .expect("opened")
        .into_inner()
        .wrong_hit
        .expect("a wrong hit");
    assert_eq!(opened.state, "open");
    assert!(opened.open_days > 0);
    let number = opened.wrong_hit;
    let correct = |correction| {
        let asked = v1::CorrectWrongHitRequest {
            wrong_hit: number,
            correction,
            reason: String::new(),
        };
        desk.identity.correct_wrong_hit(desk.ask(asked))
    };
    // A change of another entry, none at all, or the creation of its own, corrects nothing.
    let created = desk.subject(uscc(1), 0).await.timeline[0].seq;
    let refused = correct(created).await.expect_err("the creation");
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(
        refused.message().contains("created"),
        "{}",
        refused.message()
    );
    let other = desk.subject(uscc(2), 0).await.timeline[0].seq;
    assert!(correct(other).await.is_err());
    assert!(correct(9_999).await.is_err());
    let revoked = desk
        .registry
        .apply(state(&support::id(1), "REVOKED"), &desk.place.caller)
        .await;
    let revoked = revoked.expect("revoked").version.seq;
    let corrected = correct(revoked).await.expect("corrected").into_inner();
    assert_eq!(corrected.wrong_hit.expect("it").state, "corrected");
    let open = |days| {
        let asked = v1::ListWrongHitsRequest {
            closed: false,
            open_days: days,
        };
        desk.identity.list_wrong_hits(desk.ask(asked))
    };
    let listed = open(5).await.expect("listed").into_inner().wrong_hits;
    assert_eq!(listed.len(), 1);
    assert!(
        open(100_000)
            .await
            .expect("listed")
            .into_inner()
            .wrong_hits
            .is_empty()
    );
    // The subject's own screen shows it, and so does that of the one listed.
    for n in [1, 7] {
        assert_eq!(desk.subject(uscc(n), 0).await.wrong_hits.len(), 1, "{n}");
    }
    let tell = |told_at: Option<&str>| {
        let told_at = told_at.map(|day| Time::parse(day).expect("a day"));
        let asked = v1::TellWrongHitRequest {
            wrong_hit: number,
            told_at: told_at.map(creditgate_proto::encode::time_to_proto),
            how: "书面".to_owned(),
            proof: "回执1".to_owned(),
        };
        desk.identity.tell_wrong_hit(desk.ask(asked))
    };
    // Nobody is told of what was not discovered yet.
    let refused = tell(Some("2026-01-09")).await.expect_err("too early");
    for named in ["2026-01-09", "discovered_at", "2026-01-10"] {
        assert!(refused.message().contains(named), "{}", refused.message());
    }
    let told = tell(Some("2026-01-10")).await.expect("told");
    assert_eq!(told.into_inner().wrong_hit.expect("it").state, "closed");
    assert!(
        open(0)
            .await
            .expect("listed")
            .into_inner()
            .wrong_hits
            .is_empty()
    );
}

#[tokio::test]
async fn texts_of_a_wrong_hit_are_bounded() {
    let desk = Desk::new();
    desk.import(rows(1..2)).await;
    let good = || v1::OpenWrongHitRequest {
        subject: Some(v1::SubjectQuery {
            name: "示".repeat(256),
            ..Default::default()
        }),
        case_id: "C".repeat(512),
        entry_id: support::id(1),
        what: "same_name".to_owned(),
        reason: "由".repeat(4_096),
        ..Default::default()
    };
    let named = |name: String| v1::OpenWrongHitRequest {
        subject: Some(v1::SubjectQuery {
            name,
            ..Default::default()
        }),
        ..good()
    };
    let verdict_id = "V".repeat(513);
    let case_id = "C".repeat(513);
    let reason = "由".repeat(4_097);
    for (field, asked) in [
        ("subject.name", named("示".repeat(257))),
        (
            "verdict_id",
            v1::OpenWrongHitRequest {
                verdict_id,
                ..good()
            },
        ),
        ("case_id", v1::OpenWrongHitRequest { case_id, ..good() }),
        ("reason", v1::OpenWrongHitRequest { reason, ..good() }),
    ] {
        let refused = desk.identity.open_wrong_hit(desk.ask(asked)).await;
        let refused = refused.expect_err(field);
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(refused.message().contains(field), "{}", refused.message());
    }
    let opened = desk.identity.open_wrong_hit(desk.ask(good())).await;
    opened.expect("at the bounds");
}

/// Which registration numbers are one subject, counted anew from the merges that stand.
fn joined(merges: &[(u64, u64)], of: u64) -> BTreeSet<u64> {
    let mut joined = BTreeSet::from([of]);
    loop {
        let before = joined.len();
        for (one, other) in merges {
            if joined.contains(one) || joined.contains(other) {
                joined.extend([*one, *other]);
            }
        }
        if joined.len() == before {
            return joined;
        }
    }
}

#[tokio::test]
async fn random_merges_and_undos_are_as_counted_anew() {
    let mut random = Random::seeded(0x5eed_0000_0002);
    let desk = Desk::new();
    let subjects = 8;
    let mut standing: Vec<(u64, (u64, u64))> = Vec::new();
    let mut entries: BTreeMap<u64, u64> = BTreeMap::new();
    for step in 0..120 {
        match random.below(4) {
            0 => {
                let (n, subject) = (100 + random.below(30), random.below(subjects));
                let subject = *entries.entry(n).or_insert(subject);
                let entry = v1::Entry {
                    entry_id: support::id(n),
                    ..old_row(subject)
                };
                desk.import(vec![entry]).await;
            }
            1 if !standing.is_empty() => {
                let at = random.below(standing.len() as u64);
                let (change, _) = standing.remove(usize::try_from(at).expect("small"));
                desk.undo(change).await;
            }
            _ => {
                let (one, other) = (random.below(subjects), random.below(subjects));
                let change = desk.merge(reg15(one), reg15(other)).await.expect("merged");
                if change > 0 {
                    standing.push((change, (one, other)));
                }
            }
        }
        let merges: Vec<_> = standing.iter().map(|(_, pair)| *pair).collect();
        for (n, subject) in &entries {
            let expected: BTreeSet<_> = joined(&merges, *subject)
                .into_iter()
                .map(invented::reg15)
                .collect();
            assert_eq!(aliases(&desk.entry(*n)), expected, "step {step}, entry {n}");
        }
    }
}

#[tokio::test]
async fn at_every_version_the_past_is_what_was_known_then() {
    let mut random = Random::seeded(0x5eed_0000_0002);
    let desk = Desk::new();
    let mut standing = Vec::new();
    // What the screen of each subject showed while its version was the newest.
    let mut screens: BTreeMap<(u64, u64), Vec<v1::Entry>> = BTreeMap::new();
    let entries_of = |view: v1::GetSubjectResponse| -> Vec<v1::Entry> {
        let records = view.entries.into_iter().filter_map(|entry| entry.record);
        records.filter_map(|record| record.entry).collect()
    };
    for _ in 0..60 {
        let n = random.below(6);
        match random.below(6) {
            0 => {
                let merged = desk.merge(reg15(n), reg15(random.below(6))).await;
                standing.extend(merged.ok().filter(|change| *change > 0));
            }
            1 if !standing.is_empty() => {
                desk.undo(standing.remove(0)).await;
            }
            2 => {
                desk.rename(
                    reg15(n),
                    &format!("示例{}公司", random.below(9)),
                    "2026-03-01",
                )
                .await;
            }
            _ => {
                let entry = v1::Entry {
                    entry_id: support::id(random.below(9)),
                    list: "B01".to_owned(),
                    grade: format!("{}", random.below(3)),
                    ..old_row(n)
                };
                desk.import(vec![entry]).await;
            }
        }
        let seq = desk.seq();
        for n in 0..6 {
            screens.insert((seq, n), entries_of(desk.subject(reg15(n), 0).await));
        }
    }
    for ((seq, n), shown) in &screens {
        let then = entries_of(desk.subject(reg15(*n), *seq).await);
        assert_eq!(&then, shown, "subject {n} at {seq}");
    }
    // Entry by entry against a plain reading of the log, at every version.
    let past = desk.registry.past();
    let mut known: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for entered in past.log().read_from(Position(0)) {
        let entered = entered.expect("a record");
        if let creditgate_registry::log::What::Put(put) = &entered.what {
            let id = Entry::from_stored(&put.stored).expect("an entry").entry_id;
            known.insert(id.as_str().to_owned(), put.stored.clone());
        }
        for n in 0..9 {
            let then = past
                .entry_as_of(&support::id(n), entered.seq)
                .expect("readable");
            let expected = known.get(&support::id(n));
            assert_eq!(
                then.map(|entry| entry.to_stored()).as_ref(),
                expected,
                "{}",
                entered.seq
            );
        }
    }
}

#[tokio::test]
async fn a_history_tells_which_fields_a_correction_changed_and_a_damaged_index_is_made_again() {
    let desk = Desk::new();
    desk.import(rows(1..40)).await;
    let corrected = v1::Entry {
        reason: "更正后的事由".to_owned(),
        grade: "A".to_owned(),
        ..row(1)
    };
    desk.import(vec![corrected]).await;
    let shown = |view: v1::GetSubjectResponse| -> Vec<String> {
        view.timeline
            .iter()
            .map(|moment| {
                let fields: Vec<_> = moment
                    .fields
                    .iter()
                    .map(|f| format!("{}: {} -> {}", f.field, f.old, f.new))
                    .collect();
                format!("{} {}", moment.action, fields.join(", "))
            })
            .collect()
    };
    let expected = [
        "created ",
        "corrected grade:  -> A, reason:  -> 更正后的事由",
    ];
    assert_eq!(shown(desk.subject(uscc(1), 0).await), expected);
    desk.registry.close().await;
    let Desk {
        place,
        registry,
        identity,
    } = desk;
    drop((registry, identity));
    let file = place.dir().join("lists/entries.sqlite");
    for (damage, with) in [(0, 64), (4_096, 4_096)] {
        let mut bytes = std::fs::read(&file).expect("an index");
        let end = (damage + with).min(bytes.len());
        bytes[damage..end].fill(0x5a);
        std::fs::write(&file, bytes).expect("written");
        let registry = place.open();
        let identity = IdentityService::new(registry.clone());
        let mut request = Request::new(v1::GetSubjectRequest {
            subject: Some(v1::SubjectQuery {
                id_type: "USCC".to_owned(),
                id: invented::uscc(1),
                ..Default::default()
            }),
            ..Default::default()
        });
        request.extensions_mut().insert(place.caller.clone());
        let view = identity.get_subject(request).await.expect("a subject");
        assert_eq!(shown(view.into_inner()), expected, "damaged at {damage}");
        registry.close().await;
    }
}

#[tokio::test]
async fn a_name_that_several_bear_shows_them_apart() {
    let desk = Desk::new();
    let same = |n| v1::Entry {
        name: "示例同名公司".to_owned(),
        ..row(n)
    };
    desk.import(vec![same(1), nameless(9, "示例同名公司")])
        .await;
    let by_name = || async {
        let asked = v1::GetSubjectRequest {
            subject: Some(v1::SubjectQuery {
                name: "示例同名公司".to_owned(),
                ..Default::default()
            }),
            ..Default::default()
        };
        let view = desk.identity.get_subject(desk.ask(asked)).await;
        let view = view.expect("a subject").into_inner();
        let known = view.identifiers.into_iter();
        let known =
            known.map(|known| format!("{} {}", known.identifier.unwrap_or_default().id, known.how));
        let found = view.entries.into_iter().map(|entry| entry.found_by);
        (known.collect::<Vec<_>>(), found.collect::<Vec<_>>())
    };
    let (known, found) = by_name().await;
    assert_eq!(known, [format!("{} asked", invented::uscc(1))]);
    assert_eq!(found, ["identifier", "name"]);
    desk.import(vec![same(2)]).await;
    let (known, found) = by_name().await;
    assert_eq!(
        known,
        [1, 2].map(|n| format!("{} same_name", invented::uscc(n)))
    );
    assert_eq!(found, ["name", "name", "name"]);
}

#[tokio::test]
async fn whom_a_name_meant_then_is_not_told_by_what_came_later() {
    let desk = Desk::new();
    let same = |n| v1::Entry {
        name: "示例同名公司".to_owned(),
        ..row(n)
    };
    let other_name = v1::Entry {
        entry_id: support::id(3),
        name: "示例他名公司".to_owned(),
        ..row(2)
    };
    desk.import(vec![nameless(1, "示例同名公司"), same(2), other_name])
        .await;
    let then = desk.seq();
    let by_name = || async {
        let asked = v1::GetSubjectRequest {
            subject: Some(v1::SubjectQuery {
                name: "示例同名公司".to_owned(),
                ..Default::default()
            }),
            as_of: then.to_string(),
            at: None,
        };
        let view = desk.identity.get_subject(desk.ask(asked)).await;
        view.expect("a subject").into_inner()
    };
    let before = by_name().await;
    assert_eq!(before.entries.len(), 3);
    desk.import(vec![same(4)]).await;
    assert_eq!(by_name().await, before);
    // Nor by what a new service, which has kept nothing, puts together.
    let anew = IdentityService::new(desk.registry.clone());
    let asked = v1::GetSubjectRequest {
        subject: Some(v1::SubjectQuery {
            name: "示例同名公司".to_owned(),
            ..Default::default()
        }),
        as_of: then.to_string(),
        at: None,
    };
    let view = anew.get_subject(desk.ask(asked)).await;
    assert_eq!(view.expect("a subject").into_inner(), before);
}

#[tokio::test]
async fn a_screen_tells_of_a_correction_that_was_corrected_back() {
    let desk = Desk::new();
    let graded = |grade: &str| v1::Entry {
        grade: grade.to_owned(),
        ..row(1)
    };
    // Asked after every step, so that every answer is kept.
    for (step, grade) in ["A", "B", "A", "B"].into_iter().enumerate() {
        desk.import(vec![graded(grade)]).await;
        let view = desk.subject(uscc(1), 0).await;
        assert_eq!(view.timeline.len(), step + 1, "grade {grade}");
        let record = view.entries[0].record.clone().expect("a record");
        assert_eq!(record.entry.expect("an entry").grade, grade);
        assert_eq!(record.history.len(), step + 1);
        // As a service tells it that has kept nothing.
        let Desk {
            registry, place, ..
        } = &desk;
        let mut request = Request::new(v1::GetSubjectRequest {
            subject: Some(v1::SubjectQuery {
                id_type: "USCC".to_owned(),
                id: invented::uscc(1),
                ..Default::default()
            }),
            ..Default::default()
        });
        request.extensions_mut().insert(place.caller.clone());
        let anew = IdentityService::new(registry.clone());
        let anew = anew.get_subject(request).await.expect("a subject");
        assert_eq!(anew.into_inner().timeline, view.timeline);
    }
}

#[tokio::test]
async fn a_commitment_of_a_subject_is_to_be_kept_on_a_day_that_can_come() {
    let desk = Desk::new();
    let procedures = ProceduresService::new(desk.registry.clone());
    let made = Time::parse("2026-03-01").expect("a day");
    let open = |until: &str| {
        let asked = v1::OpenProcedureRequest {
            kind: "commitment".to_owned(),
            subject: Some(v1::SubjectQuery {
                id_type: "USCC".to_owned(),
                id: invented::uscc(1),
                ..Default::default()
            }),
            by: "示例承诺人".to_owned(),
            document_no: "示例承诺1号".to_owned(),
            reason: "示例事由".to_owned(),
            authority: "示例机关".to_owned(),
            at: Some(creditgate_proto::encode::time_to_proto(made)),
            until: until.to_owned(),
            ..Default::default()
        };
        procedures.open(desk.ask(asked))
    };
    for (until, told) in [
        ("2026-02-28", "2026-03-01"),
        ("1899-12-31", "1900"),
        ("9999-01-01", "9998"),
    ] {
        let refused = open(until).await.expect_err(until);
        assert_eq!(refused.code(), Code::InvalidArgument);
        for named in ["until", told] {
            assert!(refused.message().contains(named), "{}", refused.message());
        }
    }
    for until in ["2026-03-01", "9998-12-31"] {
        let opened = open(until).await.expect(until).into_inner();
        let deadlines = opened.procedure.expect("it").deadlines;
        let keep = deadlines.iter().find(|limit| limit.step == "keep");
        assert_eq!(keep.expect("a limit").day, until);
    }
}

#[test]
fn an_identifier_prints_masked_in_what_is_kept() {
    let identifier = Identifier::parse(IdType::Uscc, &invented::uscc(1), None).expect("valid");
    let key = creditgate_registry::desk::identity::SubjectKey::of(&identifier);
    assert!(!format!("{key:?}").contains(&invented::uscc(1)));
}

#[tokio::test]
async fn an_objection_for_a_subject_is_to_an_entry_of_it_under_whichever_identifier() {
    let desk = Desk::new();
    desk.import(rows(1..3)).await;
    let procedures = ProceduresService::new(desk.registry.clone());
    let open = |entry_id: String, of: v1::Alias| {
        let asked = v1::OpenProcedureRequest {
            kind: "objection".to_owned(),
            entry_id,
            by: "示例申请人".to_owned(),
            document_no: "示例窗收1号".to_owned(),
            reason: "示例事由".to_owned(),
            of_subject: Some(of),
            ..Default::default()
        };
        procedures.open(desk.ask(asked))
    };
    let none = open("E-NONE".to_owned(), uscc(2)).await;
    let none = none.expect_err("no entry");
    assert_eq!(none.code(), Code::NotFound);
    for other in [uscc(2), reg15(7)] {
        let refused = open(support::id(1), other).await;
        let refused = refused.expect_err("an entry of somebody else");
        assert_eq!(
            (refused.code(), refused.message()),
            (none.code(), none.message())
        );
    }
    let unsound = v1::Alias {
        id: "91219999MAYG58BR3X".to_owned(),
        ..uscc(2)
    };
    let unsound = open(support::id(1), unsound).await;
    let unsound = unsound.expect_err("its check digit is wrong");
    assert_eq!(unsound.code(), Code::InvalidArgument);
    assert!(unsound.message().contains("of_subject"), "{unsound:?}");

    let merged = desk.merge(uscc(1), reg15(7)).await;
    merged.expect("one subject under two numbers");
    let opened = open(support::id(1), reg15(7)).await.expect("its own now");
    let opened = opened.into_inner().procedure.expect("it");
    assert_eq!(opened.entry_id, support::id(1));
}
