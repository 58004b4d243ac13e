//! Anchors that are sent to get every line, whatever happens in between.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::*;
use crate::health::{Readiness, Snapshot, State};
use crate::shutdown::Shutdown;

/// A place that takes lines as long as it is told to, and keeps them.
#[derive(Clone)]
struct Kept {
    place: &'static str,
    open: Arc<AtomicBool>,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Kept {
    fn new(place: &'static str) -> Self {
        Self {
            place,
            open: Arc::new(AtomicBool::new(true)),
            lines: Arc::default(),
        }
    }

    fn numbers(&self) -> Vec<u64> {
        let lines = self.lines.lock();
        let numbers = lines.iter().map(|line| {
            let point = CheckPoint::parse(line.as_bytes()).unwrap();
            point.number
        });
        numbers.collect()
    }
}

impl Outlet for Kept {
    fn kind(&self) -> &'static str {
        "topic"
    }

    fn place(&self) -> String {
        self.place.to_owned()
    }

    fn deliver<'a>(&'a self, letter: &'a Letter) -> Delivery<'a> {
        Box::pin(async move {
            assert_eq!(letter.log, "07".repeat(16));
            if !self.open.load(Ordering::Relaxed) {
                return Err(NotTaken {
                    why: "closed".to_owned(),
                    pause: None,
                });
            }
            self.lines.lock().push(letter.line.clone());
            Ok(())
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_anchor_that_is_sent_to_gets_every_line_in_order_and_goes_on_after_a_stop() {
    let place = Place::new();
    let kept = Kept::new("one");
    let open = || place.open_with(None, vec![Box::new(kept.clone())]);
    let points = open().unwrap();
    let put = |points: &CheckPoints| {
        tokio::task::block_in_place(|| {
            place.record(1);
            points.put_blocking().unwrap();
        });
    };
    put(&points);
    put(&points);
    points.send().await.unwrap();
    assert_eq!(kept.numbers(), [1, 2]);
    // Nothing new: nothing is sent.
    points.send().await.unwrap();
    assert_eq!(kept.numbers(), [1, 2]);

    // While it takes none they go on here, and what it missed comes later, in order.
    kept.open.store(false, Ordering::Relaxed);
    put(&points);
    put(&points);
    let refused = points.send().await.unwrap_err();
    assert!(
        matches!(refused, Error::NotTaken { number: 3, .. }),
        "{refused:?}"
    );
    drop(points);
    let points = open().unwrap();
    put(&points);
    kept.open.store(true, Ordering::Relaxed);
    points.send().await.unwrap();
    assert_eq!(kept.numbers(), [1, 2, 3, 4, 5]);
    assert_eq!(taken(place.dir.path()), [("topic", 5, "one".to_owned())]);
    // What it holds is an anchor as a file is.
    let lines = kept.lines.lock().join("\n") + "\n";
    fs::write(place.path("saved"), lines).unwrap();
    let saved = place.said(Kind::Anchor, "saved").unwrap();
    assert_eq!(saved.points, 5);
    assert_eq!(place.held(&saved), Ok(()));
    drop(points);

    // A crash before what was taken was remembered: the last one comes twice, which a reader passes by.
    let state = place.path("check-points.topic");
    let text = fs::read_to_string(&state).unwrap();
    let points = open().unwrap();
    put(&points);
    points.send().await.unwrap();
    drop(points);
    fs::write(&state, text).unwrap();
    let points = open().unwrap();
    points.send().await.unwrap();
    assert_eq!(kept.numbers(), [1, 2, 3, 4, 5, 6, 6]);
    let lines = kept.lines.lock().join("\n") + "\n";
    fs::write(place.path("saved"), lines).unwrap();
    assert_eq!(place.said(Kind::Anchor, "saved").unwrap().points, 6);
    drop(points);

    // Another place gets all of them.
    let other = Kept::new("other");
    let points = place
        .open_with(None, vec![Box::new(other.clone())])
        .unwrap();
    points.send().await.unwrap();
    assert_eq!(other.numbers(), [1, 2, 3, 4, 5, 6]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_anchor_that_takes_nothing_is_told_and_gets_it_when_it_is_back() {
    let place = Place::new();
    let kept = Kept::new("one");
    kept.open.store(false, Ordering::Relaxed);
    let outlets: Vec<Box<dyn Outlet>> = vec![Box::new(kept.clone())];
    let points = place.open_with(None, outlets).unwrap();
    let readiness = Readiness::expecting([]);
    let shutdown = Shutdown::new();
    let running = tokio::spawn(points.run(
        Duration::from_secs(3_600),
        readiness.clone(),
        shutdown.clone(),
    ));
    let mut follow = readiness.follow();
    let told = |snapshot: &Snapshot| match snapshot.components.get("anchor topic") {
        Some(State::ReadyBut(why)) => why.contains("closed"),
        _ => false,
    };
    follow.wait_for(told).await.unwrap();
    kept.open.store(true, Ordering::Relaxed);
    let well = |snapshot: &Snapshot| snapshot.components.get("anchor topic") == Some(&State::Ready);
    follow.wait_for(well).await.unwrap();
    assert_eq!(kept.numbers(), [1]);
    shutdown.request();
    running.await.unwrap();
}
