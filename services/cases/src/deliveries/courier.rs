//! What is done for one delivery: read, send, wait, and again from what is recorded.
//!
//! INVARIANT (nothing is skipped): a courier goes on only from what the log of the cases says was delivered.
//! Whatever was sent and not recorded is sent again, with the same id.
//! INVARIANT (order of a case): a thing is sent once everything of its case before it was taken or put aside.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use creditgate_proto::journal::v1::DeliveryPutAside;
use creditgate_runtime::errors::Chain;
use creditgate_runtime::metrics::PostEnd;
use creditgate_runtime::telemetry::names::field;
use creditgate_runtime::webhook;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::item::Item;
use super::known::{self, Known};
use super::post::{Outcome, Posted, post};
use super::progress::Progress;
use super::{Inner, change};
use crate::error::{ActError, Error};

/// Position and number among the things of one record.
type Key = (u64, u32);

/// Items read at once.
const READ: usize = 512;
/// How often it is looked whether this process still leads, and how often progress is recorded.
const TICK: Duration = Duration::from_secs(1);

/// Sends to one target.
pub(super) struct Courier {
    inner: Arc<Inner>,
    known: Known,
    /// What was read and is neither taken nor put aside.
    waiting: BTreeMap<Key, Waiting>,
    /// Everything up to here was read.
    read: Key,
    sending: JoinSet<(Key, Posted)>,
    progress: Progress,
    /// Up to where it is recorded.
    recorded: u64,
    recorded_at: Instant,
    /// Something was taken since then.
    took: bool,
    /// Refusals since the last success.
    refusals: u32,
    /// Up to where changes of the delivery itself were looked at.
    looked: Option<u64>,
}

/// Something on its way.
struct Waiting {
    item: Arc<Item>,
    /// It was put aside, and is sent again on request.
    letter: bool,
    sending: bool,
    attempts: u32,
    tried_first: Option<Instant>,
    not_before: Option<Instant>,
    /// Why the last attempt failed; empty: none did.
    last_error: String,
}

impl Waiting {
    fn new(item: Item, letter: bool) -> Self {
        Self {
            item: Arc::new(item),
            letter,
            sending: false,
            attempts: 0,
            tried_first: None,
            not_before: None,
            last_error: String::new(),
        }
    }
}

/// Why a courier ends, other than by being asked to.
pub(super) enum Ended {
    /// The delivery is not active any more, or another process delivers.
    Done,
    /// Another one goes on from what is recorded.
    Failed(Error),
}

impl Courier {
    pub fn new(inner: Arc<Inner>, known: Known) -> Self {
        let mut courier = Self {
            inner,
            waiting: BTreeMap::new(),
            read: (0, 0),
            sending: JoinSet::new(),
            progress: Progress::default(),
            recorded: 0,
            recorded_at: Instant::now(),
            took: false,
            refusals: 0,
            looked: None,
            known,
        };
        courier.begin();
        courier
    }

    /// Goes on from what is recorded, and forgets what was under way.
    fn begin(&mut self) {
        let position = self.known.position;
        self.waiting.clear();
        // What is broken off is sent again.
        self.sending = JoinSet::new();
        self.read = (position, u32::MAX);
        self.recorded = position;
        self.refusals = 0;
        self.progress = Progress {
            since: self.known.since,
            clear_up_to: position,
            delivered: self.progress.delivered,
            ..Progress::default()
        };
    }

    fn name(&self) -> &str {
        &self.known.put.name
    }

    /// Sends for as long as the delivery is active and this process keeps the cases.
    pub async fn run(mut self) -> Ended {
        let mut head = self.inner.cases.shared().outbox.subscribe();
        let ended = loop {
            let up_to = *head.borrow_and_update();
            match self.step(up_to).await {
                Ok(true) => {}
                Ok(false) => break Ended::Done,
                Err(error) => break Ended::Failed(error),
            }
            let again = self.again();
            tokio::select! {
                Some(done) = self.sending.join_next() => match done {
                    Ok((key, posted)) => self.settle(key, posted).await,
                    // A panic has been printed; another courier goes on.
                    Err(_) => break Ended::Done,
                },
                changed = head.changed() => if changed.is_err() { break Ended::Done },
                () = tokio::time::sleep_until(again) => {}
            }
        };
        self.inner.progresses.remove(self.name());
        self.inner.metrics.forget_delivery(self.name());
        ended
    }

    /// When it is looked again, should nothing happen.
    fn again(&self) -> Instant {
        let waiting = self.waiting.values().filter(|one| !one.sending);
        let soonest = waiting.filter_map(|one| one.not_before).min();
        let tick = Instant::now() + TICK;
        soonest.map_or(tick, |soonest| soonest.min(tick))
    }

    /// Reads, sends and records what can be. Gives whether it goes on.
    async fn step(&mut self, up_to: u64) -> Result<bool, Error> {
        if !self.inner.delivers() {
            return Ok(false);
        }
        if self.looked != Some(up_to) {
            if !self.look().await? {
                return Ok(false);
            }
            self.looked = Some(up_to);
        }
        self.read(up_to).await?;
        self.send();
        let oldest = self.waiting.values().map(|one| one.item.at).min();
        self.progress.oldest = oldest;
        self.progress.clear_up_to = self.clear_up_to();
        self.tell_failures();
        self.inner.progresses.set(self.name(), &self.progress);
        self.inner
            .metrics
            .set_undelivered_since(self.name(), oldest);
        self.record().await;
        Ok(true)
    }

    /// What is to be tried again, also while other things are taken.
    fn tell_failures(&mut self) {
        let failing = self.waiting.values();
        let failing: Vec<_> = failing.filter(|one| !one.last_error.is_empty()).collect();
        let failures = failing.iter().map(|one| one.attempts);
        self.progress.failures = failures.fold(0, u32::saturating_add);
        if let Some(first) = failing.first() {
            self.progress.last_error.clone_from(&first.last_error);
        }
        let next = failing.iter().filter_map(|one| one.not_before).min();
        self.progress.next_attempt_at = next.map(|next| {
            let pause = next.saturating_duration_since(Instant::now());
            let micros = i64::try_from(pause.as_micros()).unwrap_or(i64::MAX);
            self.inner.cases.clock().now_micros().saturating_add(micros)
        });
    }

    /// What became of the delivery itself, and which of its dead letters are sent again.
    async fn look(&mut self) -> Result<bool, Error> {
        let (name, most) = (self.name().to_owned(), self.inner.options.pace.window);
        let found = self
            .inner
            .ask(move |lookup| {
                let known = known::named(lookup, &name)?;
                Ok((known, known::resending(lookup, &name, most)?))
            })
            .await?;
        let (Some(known), letters) = found else {
            return Ok(false);
        };
        if !known.is_active() {
            return Ok(false);
        }
        if known.since != self.known.since {
            tracing::info!(
                delivery = self.name(),
                { field::POSITION } = known.position,
                "a delivery goes on"
            );
            self.known = known;
            self.begin();
        }
        for item in letters {
            let key = (item.position, item.nth);
            // What was put aside a moment ago and what is on its way already stay as they are.
            self.waiting
                .entry(key)
                .or_insert_with(|| Waiting::new(item, true));
        }
        Ok(true)
    }

    async fn read(&mut self, up_to: u64) -> Result<(), Error> {
        while self.in_turn() < self.inner.options.pace.window && self.read.0 < up_to {
            let (from, known) = (self.read, self.known.clone());
            let (read, wanted) = self
                .inner
                .ask(move |lookup| {
                    let items = known::items(lookup, &known.put.name, from, up_to, READ)?;
                    let whole = items.len() < READ;
                    let last = items.last().map(|last| (last.position, last.nth));
                    let read = last.filter(|_| !whole).unwrap_or((up_to, u32::MAX));
                    let wanted: Vec<Item> =
                        items.into_iter().filter(|item| known.wants(item)).collect();
                    Ok((read, wanted))
                })
                .await?;
            self.read = read;
            for item in wanted {
                let key = (item.position, item.nth);
                self.waiting.insert(key, Waiting::new(item, false));
            }
        }
        Ok(())
    }

    /// How much waits in its turn: dead letters that are sent again hold up nothing else.
    fn in_turn(&self) -> usize {
        self.waiting.values().filter(|one| !one.letter).count()
    }

    /// Everything up to here is taken, put aside, or not wanted.
    fn clear_up_to(&self) -> u64 {
        let mut open = self.waiting.iter().filter(|(_, one)| !one.letter);
        match (open.next(), self.read) {
            (Some(((position, _), _)), _) => position - 1,
            (None, (position, u32::MAX)) => position,
            // There may be more at this position.
            (None, (position, _)) => position - 1,
        }
    }

    /// Sends what may be sent: the first of each case, as many at once as is agreed.
    fn send(&mut self) {
        let now = Instant::now();
        let mut free = self
            .inner
            .options
            .pace
            .at_once
            .saturating_sub(self.sending.len());
        let mut cases: HashSet<&str> = HashSet::new();
        let mut next = Vec::new();
        for (key, one) in &self.waiting {
            if free == 0 {
                break;
            }
            let first = one.letter || cases.insert(&one.item.case_id);
            let due = one.not_before.is_none_or(|until| until <= now);
            if first && due && !one.sending {
                next.push(*key);
                free -= 1;
            }
        }
        for key in next {
            let Some(one) = self.waiting.get_mut(&key) else {
                continue;
            };
            one.sending = true;
            one.attempts = one.attempts.saturating_add(1);
            one.tried_first.get_or_insert(now);
            let (inner, put) = (Arc::clone(&self.inner), self.known.put.clone());
            let item = Arc::clone(&one.item);
            self.sending
                .spawn(async move { (key, post(&inner, &put, &item).await) });
        }
    }

    /// Does what became of something asks for.
    async fn settle(&mut self, key: Key, Posted { id, outcome }: Posted) {
        let Some(one) = self.waiting.get_mut(&key) else {
            return;
        };
        one.sending = false;
        let letter = one.letter;
        match outcome {
            Outcome::Taken => {
                self.inner.metrics.post(PostEnd::Delivered);
                self.progress.delivered += 1;
                self.progress.last_error.clear();
                self.refusals = 0;
                if letter {
                    let done = change::taken(&self.inner, self.name(), self.known.since, key).await;
                    if let Err(error) = done {
                        return self.unrecorded(key, &error);
                    }
                }
                self.took = true;
                self.waiting.remove(&key);
            }
            Outcome::Later { why, pause, end } => {
                self.inner.metrics.post(end);
                let tried = one.tried_first.map(|first| first.elapsed());
                let give_up = self.inner.options.give_up;
                match tried.filter(|tried| *tried >= give_up) {
                    Some(tried) => {
                        let why = format!("given up after {} s: {why}", tried.as_secs());
                        self.put_aside(key, id, why).await;
                    }
                    None => self.failed(key, why, pause),
                }
            }
            Outcome::Refused { why } => {
                self.inner.metrics.post(PostEnd::Refused);
                self.refusals += 1;
                let stops = self.refusals >= self.inner.options.pace.refusals_max;
                self.put_aside(key, id, why.clone()).await;
                if stops {
                    let why = format!("{} refusals in a row; the last: {why}", self.refusals);
                    self.stop(key, why).await;
                }
            }
            Outcome::Gone => {
                self.inner.metrics.post(PostEnd::Refused);
                self.stop(key, "the target answered 410 Gone".to_owned())
                    .await;
            }
        }
    }

    async fn put_aside(&mut self, key: Key, id: String, reason: String) {
        let Some(one) = self.waiting.get(&key) else {
            return;
        };
        tracing::warn!(
            delivery = self.name(),
            { field::POSITION } = key.0,
            { field::REASON } = reason,
            "something is put aside: its target does not take it"
        );
        let aside = DeliveryPutAside {
            name: self.name().to_owned(),
            position: key.0,
            nth: key.1,
            id,
            reason: reason.clone(),
            attempts: one.attempts,
        };
        self.progress.last_error = reason;
        match change::put_aside(&self.inner, self.known.since, aside).await {
            Ok(()) => {
                self.inner.metrics.put_aside();
                self.took = true;
                self.waiting.remove(&key);
            }
            Err(error) => self.unrecorded(key, &error),
        }
    }

    async fn stop(&mut self, key: Key, why: String) {
        tracing::warn!(
            delivery = self.name(),
            { field::REASON } = why,
            "a delivery is stopped; it goes on when somebody resumes it"
        );
        let (name, since) = (self.name().to_owned(), self.known.since);
        self.record_now().await;
        if let Err(error) = change::stopped(&self.inner, &name, since, why).await {
            self.unrecorded(key, &error);
        }
    }

    /// Pauses one thing, longer with each failure.
    fn failed(&mut self, key: Key, why: String, asked: Option<Duration>) {
        let pace = self.inner.options.pace;
        let Some(one) = self.waiting.get_mut(&key) else {
            return;
        };
        let pause = webhook::pause(one.attempts, (pace.retry_min, pace.retry_max), asked);
        one.not_before = Some(Instant::now() + pause);
        tracing::info!(
            delivery = self.known.put.name,
            { field::POSITION } = key.0,
            { field::REASON } = why,
            attempts = one.attempts,
            pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
            "something could not be delivered; it is tried again"
        );
        one.last_error = why;
    }

    /// It is sent again, though it may have been taken.
    fn unrecorded(&mut self, key: Key, error: &ActError) {
        let why = format!("it could not be recorded: {}", Chain(error));
        self.failed(key, why, None);
    }

    /// Records from time to time how far it has come; after many records that do not concern it too, so that
    /// a start need not read them all again.
    async fn record(&mut self) {
        let behind = self.progress.clear_up_to.saturating_sub(self.recorded);
        let due = self.took && self.recorded_at.elapsed() >= TICK;
        if behind > 0 && (due || behind >= self.inner.options.pace.passed_max) {
            self.record_now().await;
        }
    }

    async fn record_now(&mut self) {
        let position = self.clear_up_to();
        if position <= self.recorded {
            return;
        }
        let name = self.name().to_owned();
        self.recorded_at = Instant::now();
        match change::progress(&self.inner, &name, self.known.since, position).await {
            Ok(()) => {
                self.recorded = position;
                self.took = false;
            }
            Err(error) => {
                tracing::debug!({ field::ERROR } = %Chain(&error), "how far a delivery has come was not recorded");
            }
        }
    }
}
