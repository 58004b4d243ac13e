//! Facts about following by list, field, region and colour: nothing that is wanted is missing, and
//! nothing else comes.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use creditgate_measures::book::{Book, Deployment};
use creditgate_measures::catalogue;
use creditgate_measures::event::Region;
use creditgate_proto::v1::lists_server::Lists;
use creditgate_proto::v1::watch_entries_response::What;
use creditgate_proto::v1::{self, WatchEntriesRequest, WatchEntriesResponse};
use creditgate_registry::change::Change;
use creditgate_registry::{Registry, Service};
use proptest::prelude::*;
use support::Place;
use tokio_stream::StreamExt;
use tonic::{Code, Request};

/// Of two fields and three colours.
const LISTS: [&str; 4] = ["B01", "B02", "A01", "G01"];
/// A province, two of its cities, a district, another province, the whole country, and none.
const REGIONS: [&str; 7] = [
    "320000", "320500", "320100", "320505", "330100", "100000", "",
];

fn some(values: &[&str]) -> Vec<String> {
    values.iter().map(|value| (*value).to_owned()).collect()
}

async fn watch(
    place: &Place,
    registry: &Registry,
    asked: WatchEntriesRequest,
) -> Result<Vec<WatchEntriesResponse>, tonic::Status> {
    let mut request = Request::new(asked);
    request.extensions_mut().insert(place.caller.clone());
    let stream = Service::new(registry.clone())
        .watch_entries(request)
        .await?;
    let changes = stream.into_inner().map(|change| change.expect("a change"));
    Ok(changes.collect().await)
}

fn row(n: u64, list: usize, region: usize) -> v1::Entry {
    v1::Entry {
        list: LISTS[list].to_owned(),
        region: REGIONS[region].to_owned(),
        ..support::row(n)
    }
}

async fn put(place: &Place, registry: &Registry, entry: v1::Entry) {
    let put = v1::ApplyRequest {
        change: Some(v1::apply_request::Change::Put(v1::PutEntry {
            entry: Some(entry),
            reason: "更正".to_owned(),
        })),
    };
    let change = Change::from_proto(put).expect("a sound change");
    registry
        .apply(change, &place.caller)
        .await
        .expect("a change");
}

/// Whether one of the regions asked for lies within this one or holds it.
fn concerns(asked: &[String], region: &str) -> bool {
    let (Some(region), false) = (Region::parse(region), asked.is_empty()) else {
        return true;
    };
    asked.iter().any(|asked| {
        let asked = Region::parse(asked).expect("a region");
        asked.contains(region) || region.contains(asked)
    })
}

/// The filter in its plainest form: over every change, remembering where each entry was.
fn plain(
    all: &[WatchEntriesResponse],
    asked: &WatchEntriesRequest,
    book: &Book,
) -> Vec<WatchEntriesResponse> {
    let of_list = |code: &str| {
        let list = book.list(code).expect("a list");
        (asked.lists.is_empty() || asked.lists.iter().any(|asked| asked == code))
            && (asked.fields.is_empty() || asked.fields.iter().any(|asked| **asked == *list.field))
            && (asked.colours.is_empty()
                || asked
                    .colours
                    .iter()
                    .any(|asked| asked == list.colour.code()))
    };
    let mut was: BTreeMap<String, String> = BTreeMap::new();
    let wanted = |change: &&WatchEntriesResponse| match change.what.as_ref().expect("a change") {
        What::Entry(watched) => {
            let entry = watched.entry.as_ref().expect("an entry");
            let before = was.insert(entry.entry_id.clone(), entry.region.clone());
            let near = concerns(&asked.regions, &entry.region)
                || before.is_some_and(|before| concerns(&asked.regions, &before));
            of_list(&entry.list) && near
        }
        What::Confirmed(confirmed) => of_list(&confirmed.list),
        What::Clock(_) => true,
    };
    all.iter().filter(wanted).cloned().collect()
}

fn book() -> &'static Book {
    static BOOK: OnceLock<Book> = OnceLock::new();
    BOOK.get_or_init(|| {
        Book::load(&catalogue::built_in(), &Deployment::default()).expect("the catalogue")
    })
}

/// Numbers of lists, numbers of regions, by field, by colour.
type Asked = (BTreeSet<usize>, BTreeSet<usize>, bool, bool);

fn asked() -> impl Strategy<Value = Asked> {
    let numbers = |below: usize, most: usize| prop::collection::btree_set(0..below, 0..most);
    (numbers(4, 3), numbers(6, 3), any::<bool>(), any::<bool>())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 4,
        failure_persistence: None,
        max_shrink_iters: 50,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_filtered_stream_is_what_a_plain_filter_leaves_of_the_whole_one(
        puts in prop::collection::vec((0u64..8, 0usize..7), 1..40),
        filters in prop::collection::vec(asked(), 8),
        from in 0u64..20,
    ) {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(compared(puts, filters, from))?;
    }
}

async fn compared(
    puts: Vec<(u64, usize)>,
    filters: Vec<Asked>,
    from: u64,
) -> Result<(), TestCaseError> {
    let place = Place::new();
    let registry = place.open();
    let list = |n: u64| usize::try_from(n % 4).expect("small");
    // Half of them in runs: an import may put and correct at once.
    let (runs, ones) = puts.split_at(puts.len() / 2);
    for run in runs.chunks(5) {
        let rows: BTreeMap<u64, v1::Entry> = run
            .iter()
            .map(|(n, region)| (*n, row(*n, list(*n), *region)))
            .collect();
        let rows = rows.into_values().collect();
        place.import(&registry, support::header(), rows).await;
    }
    for (n, region) in ones {
        put(&place, &registry, row(*n, list(*n), *region)).await;
    }
    let confirmed = registry.apply(support::confirm("B01"), &place.caller).await;
    confirmed.expect("a confirmation");
    let all = watch(&place, &registry, WatchEntriesRequest::default()).await;
    let all = all.expect("all");
    let field = |code: &str| book().list(code).expect("a list").field.to_string();
    for (lists, regions, by_field, by_colour) in filters {
        let asked = WatchEntriesRequest {
            lists: lists.iter().map(|list| LISTS[*list].to_owned()).collect(),
            fields: if by_field {
                vec![field("B01"), field("G01")]
            } else {
                Vec::new()
            },
            regions: regions
                .iter()
                .map(|region| REGIONS[*region].to_owned())
                .collect(),
            colours: if by_colour {
                some(&["black", "red"])
            } else {
                Vec::new()
            },
            ..Default::default()
        };
        let mut expected = plain(&all, &asked, book());
        let filtered = watch(&place, &registry, asked.clone()).await.expect("some");
        prop_assert_eq!(&filtered, &expected, "{:?}", asked);
        // From any place on it is the same stream without its beginning.
        let later = WatchEntriesRequest {
            from_seq: from,
            ..asked
        };
        expected.retain(|change| change.seq >= from);
        let filtered = watch(&place, &registry, later).await.expect("some");
        prop_assert_eq!(filtered, expected);
    }
    registry.close().await;
    Ok(())
}

#[tokio::test]
async fn an_entry_that_moves_away_is_told_to_those_it_leaves_and_to_those_it_comes_to() {
    let place = Place::new();
    let registry = place.open();
    put(&place, &registry, row(1, 0, 1)).await;
    put(&place, &registry, row(1, 0, 4)).await;
    let seen = async |regions: &[&str]| -> Vec<(u64, String)> {
        let asked = WatchEntriesRequest {
            regions: some(regions),
            ..Default::default()
        };
        let changes = watch(&place, &registry, asked).await.expect("a stream");
        let shown = changes.into_iter().map(|change| match change.what {
            Some(What::Entry(watched)) => (change.seq, watched.entry.expect("an entry").region),
            other => panic!("an entry was expected, not {other:?}"),
        });
        shown.collect()
    };
    let (there, moved) = ((2, "320500".to_owned()), (3, "330100".to_owned()));
    assert_eq!(seen(&["320505"]).await, [there.clone(), moved.clone()]);
    assert_eq!(seen(&["320000"]).await, [there.clone(), moved.clone()]);
    assert_eq!(seen(&["330000"]).await, vec![moved.clone()]);
    assert_eq!(seen(&["110000"]).await, []);
    assert_eq!(seen(&["110000", "330100"]).await, [moved]);
    registry.close().await;
}

#[tokio::test]
async fn what_the_book_does_not_know_is_refused_with_what_it_knows() {
    let place = Place::new();
    let registry = place.open();
    let asked = WatchEntriesRequest {
        lists: some(&["B01", "Z99"]),
        fields: some(&["fishing"]),
        regions: some(&["3205"]),
        colours: some(&["blue"]),
        ..Default::default()
    };
    let refused = watch(&place, &registry, asked)
        .await
        .expect_err("unknown values");
    assert_eq!(refused.code(), Code::InvalidArgument);
    let details = tonic_types::StatusExt::get_details_bad_request(&refused).expect("details");
    let told: BTreeMap<String, String> = details
        .field_violations
        .into_iter()
        .map(|violation| (violation.field, violation.description))
        .collect();
    assert!(told["lists"].contains("B01, B02"), "{told:?}");
    assert!(told["fields"].contains("taxation"), "{told:?}");
    assert!(told["regions"].contains("six digits"), "{told:?}");
    assert!(told["colours"].contains("attention"), "{told:?}");
    registry.close().await;
}
