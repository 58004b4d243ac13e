//! What is done for one subscription: read, send, wait, and again from what is acknowledged.

use std::sync::Arc;
use std::time::Duration;

use creditgate_proto::changes::BATCH;
use creditgate_runtime::errors::Chain;
use creditgate_runtime::metrics::DeliveryEnd;
use creditgate_runtime::webhook::{self, Answer, SendError, Target, signature};
use tokio::time::Instant;

use super::Inner;
use super::batch::{self, Batch};
use super::change;
use super::progress::Progress;
use crate::desk::Subscription;
use crate::error::ChangeError;

/// Sends to one subscription.
pub(super) struct Courier {
    inner: Arc<Inner>,
    name: String,
    progress: Progress,
    /// Until when nothing is sent: a failure, or something that waits for its acknowledgement.
    pause_until: Option<Instant>,
}

/// What is next.
enum Next {
    /// Go on at once.
    Go,
    /// Nothing before something is recorded, or the pause has passed.
    Wait,
    /// Nothing any more.
    End,
}

/// What became of an attempt.
enum Outcome {
    /// It was taken, with what it acknowledged.
    Taken(Option<u64>),
    /// It may work later.
    Later(String, Option<Duration>),
    /// It will not work as it is.
    Refused(String),
    /// The receiver is gone for good.
    Gone,
}

impl Courier {
    pub fn new(inner: Arc<Inner>, name: &str) -> Self {
        Self {
            inner,
            name: name.to_owned(),
            progress: Progress::default(),
            pause_until: None,
        }
    }

    /// Sends for as long as the subscription is active.
    pub async fn run(mut self) {
        let mut published = self.inner.registry.live().follow();
        loop {
            let up_to = *published.borrow_and_update();
            let next = self.step(up_to).await;
            self.inner.progresses.set(&self.name, &self.progress);
            let since = self.progress.oldest.map(|at| at.micros());
            let metrics = self.inner.registry.metrics();
            metrics.set_unacknowledged_since(&self.name, since);
            match next {
                Next::Go => {}
                Next::End => break,
                Next::Wait => {
                    let pause = self.pause_until;
                    let passed = async {
                        match pause {
                            Some(until) => tokio::time::sleep_until(until).await,
                            None => std::future::pending().await,
                        }
                    };
                    tokio::select! {
                        () = passed => {}
                        changed = published.changed() => if changed.is_err() { break },
                    }
                }
            }
        }
        self.inner.progresses.remove(&self.name);
        self.inner
            .registry
            .metrics()
            .forget_subscription(&self.name);
    }

    async fn step(&mut self, up_to: u64) -> Next {
        let desk = self.inner.registry.desk();
        let known = desk.subscriptions.get(&self.name);
        let Some(known) = known.filter(|known| known.is_active()).cloned() else {
            return Next::End;
        };
        if self.progress.since != known.since.seq {
            self.pause_until = None;
            self.progress = Progress {
                since: known.since.seq,
                clear_up_to: known.acknowledged,
                ..Progress::default()
            };
        }
        self.acknowledged(known.acknowledged);
        if self.pause_until.is_some_and(|until| Instant::now() < until) {
            return Next::Wait;
        }
        self.pause_until = None;
        let batch = match self.read(&known, up_to).await {
            Ok(batch) => batch,
            Err(why) => {
                self.failed(why, None);
                return Next::Wait;
            }
        };
        let Some(first) = batch.first else {
            self.progress.clear_up_to = self.progress.clear_up_to.max(batch.next - 1);
            self.progress.oldest = None;
            self.progress.delivered = None;
            self.note_passed(&known).await;
            return if batch.next <= up_to {
                Next::Go
            } else {
                Next::Wait
            };
        };
        self.progress.clear_up_to = first.seq - 1;
        self.progress.oldest = Some(first.at);
        self.progress.sent_up_to = self.progress.sent_up_to.max(batch.last);
        // Told before it is sent: the receiver may acknowledge by a call before it answers.
        self.inner.progresses.set(&self.name, &self.progress);
        let outcome = self.send(&known, &batch).await;
        self.settle(&known, first.seq, batch.last, outcome).await
    }

    /// Takes note of what the log says is acknowledged.
    fn acknowledged(&mut self, up_to: u64) {
        let progress = &mut self.progress;
        progress.clear_up_to = progress.clear_up_to.max(up_to);
        if progress.delivered.is_some_and(|(last, _)| last <= up_to) {
            progress.delivered = None;
            progress.oldest = None;
            progress.succeeded();
            self.pause_until = None;
        }
    }

    async fn read(&self, known: &Subscription, up_to: u64) -> Result<Batch, String> {
        let registry = &self.inner.registry;
        let (log, live) = (registry.past().log().clone(), registry.live().load_full());
        let pace = self.inner.options.pace;
        let (filter, from) = (known.filter.clone(), self.progress.clear_up_to + 1);
        let reading = tokio::task::spawn_blocking(move || {
            let most = (pace.changes_max, pace.bytes_max);
            batch::next(&log, &live, &filter, (from, up_to), most)
        });
        match reading.await {
            Ok(Ok(batch)) => Ok(batch),
            Ok(Err(error)) => {
                tracing::error!(error = %Chain(&error), "the change log could not be read");
                Err("the change log could not be read".to_owned())
            }
            Err(_) => Err("the change log was not read to its end".to_owned()),
        }
    }

    async fn send(&self, known: &Subscription, batch: &Batch) -> Outcome {
        let target = match Target::parse(&known.url) {
            Ok(target) => target,
            Err(why) => return Outcome::Refused(why.to_owned()),
        };
        let key = match self.inner.secrets.key(&known.secret_id) {
            Ok(key) => key,
            // Somebody may put it in its place.
            Err(error) => return self.not_sent(Outcome::Later(error.to_string(), None)),
        };
        let seconds = self.inner.registry.now().micros().div_euclid(1_000_000);
        let headers = vec![
            ("content-type", BATCH.to_owned()),
            ("creditgate-subscription", known.name.clone()),
            ("creditgate-up-to", batch.last.to_string()),
            (
                "creditgate-signature",
                signature(&key, seconds, &batch.body),
            ),
        ];
        let sent = self.inner.sender.post(&target, headers, batch.body.clone());
        tracing::debug!(
            subscription = known.name,
            changes = batch.changes,
            up_to = batch.last,
            "sending changes"
        );
        match sent.await {
            Ok(answer) => self.answered(answer),
            Err(error @ (SendError::NotAllowed(_) | SendError::PlainPublic)) => {
                self.not_sent(Outcome::Refused(error.to_string()))
            }
            Err(error) => {
                self.count(DeliveryEnd::Unreachable);
                Outcome::Later(Chain(&error).to_string(), None)
            }
        }
    }

    fn answered(&self, answer: Answer) -> Outcome {
        let status = answer.status;
        let why = format!("the receiver answered {status}");
        match status {
            200..=299 => Outcome::Taken(answer.acknowledged),
            410 => {
                self.count(DeliveryEnd::Refused);
                Outcome::Gone
            }
            // Too slow, too early, too many: these pass.
            408 | 425 | 429 | 500..=599 => {
                self.count(DeliveryEnd::Failed);
                Outcome::Later(why, answer.retry_after)
            }
            300..=399 => {
                self.count(DeliveryEnd::Refused);
                Outcome::Refused(format!("{why}, and redirects are not followed"))
            }
            _ => {
                self.count(DeliveryEnd::Refused);
                Outcome::Refused(why)
            }
        }
    }

    /// Does what the outcome asks for.
    async fn settle(
        &mut self,
        known: &Subscription,
        first: u64,
        last: u64,
        outcome: Outcome,
    ) -> Next {
        let (name, since) = (self.name.clone(), known.since.seq);
        match outcome {
            Outcome::Taken(Some(up_to)) if up_to > last => {
                self.count(DeliveryEnd::Failed);
                let why =
                    format!("the receiver acknowledged {up_to}, and was sent no more than {last}");
                self.failed(why, None);
                Next::Wait
            }
            Outcome::Taken(acknowledged) => {
                self.progress.succeeded();
                let acknowledged = acknowledged.filter(|up_to| *up_to >= first);
                self.count(match acknowledged {
                    Some(_) => DeliveryEnd::Acknowledged,
                    None => DeliveryEnd::Delivered,
                });
                if let Some(up_to) = acknowledged {
                    let registry = &self.inner.registry;
                    let noted = change::acknowledged(registry, name, since, up_to, false).await;
                    if let Err(error) = noted {
                        return self.unrecorded(&error);
                    }
                    if up_to == last {
                        self.progress.oldest = None;
                        self.progress.delivered = None;
                        return Next::Go;
                    }
                }
                self.progress.delivered = Some((last, self.inner.registry.now()));
                self.pause_until = Some(Instant::now() + self.inner.options.resend);
                // An acknowledgement by a call may have been recorded already.
                Next::Go
            }
            Outcome::Later(why, pause) => {
                self.failed(why, pause);
                Next::Wait
            }
            Outcome::Refused(why) => {
                self.progress.refusals += 1;
                if self.progress.refusals < self.inner.options.pace.refusals_max {
                    self.failed(why, None);
                    return Next::Wait;
                }
                tracing::warn!(
                    subscription = self.name,
                    reason = why,
                    "a subscription is stopped: it was refused too often"
                );
                let stopped = change::stopped(&self.inner.registry, name, since, why).await;
                match stopped {
                    Ok(()) => Next::Go,
                    Err(error) => self.unrecorded(&error),
                }
            }
            Outcome::Gone => {
                tracing::warn!(
                    subscription = self.name,
                    "a subscription has ended: its receiver is gone"
                );
                match change::gone(&self.inner.registry, name, since).await {
                    Ok(()) => Next::Go,
                    Err(error) => self.unrecorded(&error),
                }
            }
        }
    }

    /// After many records that do not concern it, its place is recorded: a start need not read them
    /// all again.
    async fn note_passed(&mut self, known: &Subscription) {
        let (up_to, since) = (self.progress.clear_up_to, known.since.seq);
        if up_to - known.acknowledged.min(up_to) < self.inner.options.pace.passed_max {
            return;
        }
        let name = self.name.clone();
        let noted = change::acknowledged(&self.inner.registry, name, since, up_to, true).await;
        if let Err(error) = noted {
            tracing::debug!(error = %Chain(&error), "a place was not recorded");
        }
    }

    fn unrecorded(&mut self, error: &ChangeError) -> Next {
        self.failed(format!("it could not be recorded: {}", Chain(error)), None);
        Next::Wait
    }

    /// Pauses, longer with each failure; at least as long as the receiver asks for.
    fn failed(&mut self, why: String, asked: Option<Duration>) {
        let pace = self.inner.options.pace;
        self.progress.failures = self.progress.failures.saturating_add(1);
        let bounds = (pace.retry_min, pace.retry_max);
        let pause = webhook::pause(self.progress.failures, bounds, asked);
        tracing::info!(
            subscription = self.name,
            reason = why,
            failures = self.progress.failures,
            pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
            "changes could not be sent; it is tried again"
        );
        self.progress.last_error = why;
        let micros = i64::try_from(pause.as_micros()).unwrap_or(i64::MAX);
        let now = self.inner.registry.now().micros();
        let at = creditgate_measures::time::Time::from_micros(now.saturating_add(micros));
        self.progress.next_attempt_at = Some(at);
        self.pause_until = Some(Instant::now() + pause);
    }

    fn not_sent(&self, outcome: Outcome) -> Outcome {
        self.count(DeliveryEnd::NotSent);
        outcome
    }

    fn count(&self, end: DeliveryEnd) {
        self.inner.registry.metrics().delivery(end);
    }
}
