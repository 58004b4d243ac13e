//! What is broken on purpose, and what is seen then: processes, the machine, too much work.
//!
//! `tests/faults.sh` runs these stories one after the other and prints a table of what they tell. Each keeps the
//! machine busy or changes it (a small disk, a clock, a limit), so all are ignored without that script.

mod clock;
mod disk;
mod kafka;
mod limits;
mod lists;
mod overload;
mod processes;
mod small;

use std::time::Duration;

use creditgate_tests::Service;
use creditgate_tests::faults::{Account, Places};

/// How long a service may take to see that a cause is gone.
const RECOVERS_WITHIN: Duration = Duration::from_secs(60);

/// Where one service is.
fn places(service: &Service) -> Places {
    let places = Places::default();
    places.set("one", service);
    places
}

/// Every answer is in the journal of a service once, and is decided again to its digest; as words.
async fn looked_at(service: &Service, account: &Account) -> String {
    let recorded = account.assert_recorded_once(service).await;
    let replayed = account.assert_replays(service).await;
    assert_eq!(replayed, account.answered.len());
    format!(
        "{replayed} answered verdicts, all there and replayed to their digest; {recorded} in the journal, none twice"
    )
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}
