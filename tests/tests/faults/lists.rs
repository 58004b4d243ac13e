//! Changes of the lists while things break: the ones that were confirmed must be there at the end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use creditgate_proto::v1;
use creditgate_proto::v1::lists_client::ListsClient;
use creditgate_tests::faults::{BARRED_ENTRY, Places, long};
use tokio::task::JoinHandle;
use tonic::transport::{Channel, Endpoint};

/// Pause between two changes, and in the long form: each has all open cases of the firm judged again, which become more the
/// longer the story is.
const PAUSE: Duration = Duration::from_millis(150);
const PAUSE_LONG: Duration = Duration::from_millis(1_500);
/// Longest wait for one.
const ATTEMPT: Duration = Duration::from_secs(5);

/// An official who bars a firm and lets it go, again and again.
pub struct Official {
    over: Arc<AtomicBool>,
    newest: Arc<AtomicU64>,
    confirmed: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Official {
    /// Begins.
    pub fn start(places: &Places) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let (newest, confirmed) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
        let task = tokio::spawn({
            let (places, over) = (places.clone(), Arc::clone(&over));
            let (newest, confirmed) = (Arc::clone(&newest), Arc::clone(&confirmed));
            async move {
                for n in 0.. {
                    if over.load(Ordering::Relaxed) {
                        return;
                    }
                    // One whose answer was lost is refused the second time; then it is the other's turn.
                    let to = ["SUSPENDED", "EFFECTIVE"][n % 2];
                    let change = async {
                        // One of two may only stand by.
                        match change(&places, n as u64, to).await {
                            None => change(&places, n as u64 + 1, to).await,
                            some => some,
                        }
                    };
                    if let Ok(Some(seq)) = tokio::time::timeout(ATTEMPT, change).await {
                        newest.fetch_max(seq, Ordering::Relaxed);
                        confirmed.fetch_add(1, Ordering::Relaxed);
                    }
                    tokio::time::sleep(match long() {
                        true => PAUSE_LONG,
                        false => PAUSE,
                    })
                    .await;
                }
            }
        });
        Self {
            over,
            newest,
            confirmed,
            task,
        }
    }

    /// Ends; how many changes were confirmed, and the number of the newest.
    pub async fn finish(self) -> (u64, u64) {
        self.over.store(true, Ordering::Relaxed);
        self.task.await.expect("the official");
        let read = |figure: &AtomicU64| figure.load(Ordering::Relaxed);
        (read(&self.confirmed), read(&self.newest))
    }
}

async fn change(places: &Places, n: u64, to: &str) -> Option<u64> {
    let place = places.nth(n)?;
    let endpoint = Endpoint::from_shared(format!("http://{place}")).ok()?;
    let mut lists: ListsClient<Channel> = ListsClient::new(endpoint.connect().await.ok()?);
    let change = v1::ChangeState {
        entry_id: BARRED_ENTRY.to_owned(),
        to: to.to_owned(),
        document_no: "演示".to_owned(),
        reason: "虚构事由".to_owned(),
        ..v1::ChangeState::default()
    };
    let request = v1::ApplyRequest {
        change: Some(v1::apply_request::Change::ChangeState(change)),
    };
    let applied = lists.apply(request).await.ok()?.into_inner();
    applied.list_version.split_once(':')?.1.parse().ok()
}

/// The number of the last change in a version of the lists.
pub fn seq(state: &v1::StateResponse) -> u64 {
    let (_, seq) = state.list_version.split_once(':').expect("a version");
    seq.parse().expect("a number")
}
