//! The clock: records what comes by time alone, so that whoever follows the lists learns of it
//! (specification, 3).
//!
//! A thread of its own holds the moments of the next two days, by a walk over all entries once a day
//! and after each book, and by reading on in the change log. What has come is recorded in order.
//!
//! INVARIANT (struck once): moments are recorded in the order of [`ClockPlace`], and the last one is
//! known to the desk; what does not come after it is never recorded. Nothing can come up late before
//! it, since a moment counts only when it lies after the record that it follows from.
//!
//! A clock that ran ahead has struck what was still to come, and bears witness of it in the log. When
//! it is set back, a mark says so ([`behind`]), and what lies between the two times is struck again
//! when it comes: whoever follows takes the later record of a moment for the true one.

mod behind;
mod moments;

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use creditgate_measures::book::BookVersion;
use creditgate_measures::entry::Entry;
use creditgate_measures::time::Time;
use creditgate_proto::encode::time_to_proto;
use creditgate_proto::journal::v1::ClockStruck;
use creditgate_runtime::clock::Clock;
use creditgate_runtime::journal::Position;
use creditgate_runtime::live::{Generation, Live};
use creditgate_runtime::threads::{self, Rank};
use tokio::sync::watch;

use crate::desk::{ClockPlace, Desk, RanAhead};
use crate::error::{ChangeError, Error};
use crate::history::Past;
use crate::keeper::{Planned, View};
use crate::log::{Entered, What};
use crate::registry::WeakRegistry;
use behind::Behind;
use moments::{Horizon, known_at, of_book, of_entry, recorded_by};

/// In a record's `kind`: nothing else had come up to its time.
pub(crate) const MARK: &str = "mark";

/// Who asks, where it is told.
const CALLER: &str = "clock";

/// Records in one run: a write of the log, and a moment for which the keeper does nothing else.
const RUN_MAX: usize = 1_000;

/// How often is looked what has changed and what has come; a clock that was set is found as fast.
const TICK: Duration = Duration::from_millis(200);

/// After a refusal: another process may keep the lists, or the log may take records again.
const AGAIN_AFTER: Duration = Duration::from_secs(5);

/// A mark is written, and all entries are walked, once in this time.
const DAY_MICROS: i64 = 24 * 3_600 * 1_000_000;

/// Entries walked before it is looked whether the registry ends.
const LOOK_EVERY: usize = 4_096;

/// What the clock works with; nothing here keeps the registry alive.
pub(crate) struct Clockwork {
    pub registry: WeakRegistry,
    pub live: Live,
    pub past: Past,
    pub desk: Arc<ArcSwap<Desk>>,
    pub clock: Clock,
    pub ended: watch::Receiver<bool>,
}

/// Why a turn was not finished.
enum Stop {
    /// The registry has ended.
    Ended,
    /// It is to be tried again later.
    Later,
}

/// What counts as struck.
struct Struck {
    /// Everything up to here.
    place: Option<ClockPlace>,
    /// The time of a clock that ran ahead.
    ran_ahead: Option<RanAhead>,
}

/// What is held between two turns.
struct Held {
    horizon: Horizon,
    /// The book that the moments follow from, and since when it is in force.
    book: BookVersion,
    book_recorded: Time,
    /// The last record that was read, and where it begins; none was read yet.
    read: (u64, Option<Position>),
    /// When all entries are walked again.
    walk_at: Time,
}

impl Clockwork {
    /// Starts the thread of the clock; it ends with the registry.
    pub fn start(self) -> std::io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()?;
        let run = move || runtime.block_on(self.run());
        threads::spawn("clock", Rank::Upkeep, run).map(drop)
    }

    async fn run(self) {
        let mut ended = self.ended.clone();
        let began = self.now();
        let (mut held, mut behind) = (None, Behind::default());
        loop {
            let wait = match self.turn(&mut held, &mut behind, began).await {
                Ok(()) => self.until_next(held.as_ref()),
                Err(Stop::Later) => AGAIN_AFTER,
                Err(Stop::Ended) => return,
            };
            tokio::select! {
                _ = ended.wait_for(|ended| *ended) => return,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    fn now(&self) -> Time {
        Time::from_micros(self.clock.now_micros())
    }

    fn until_next(&self, held: Option<&Held>) -> Duration {
        let next = held.and_then(|held| held.horizon.next());
        let left = next.map_or(i64::MAX, |next| next.since(self.now()));
        TICK.min(Duration::from_micros(u64::try_from(left).unwrap_or(0)))
    }

    /// Brings the moments up to date and records what has come.
    async fn turn(
        &self,
        held: &mut Option<Held>,
        behind: &mut Behind,
        began: Time,
    ) -> Result<(), Stop> {
        // Before the time is read, or what is recorded in between would lie ahead of it.
        let newest = self.desk.load().newest;
        // Before the lists are looked at: what is recorded later has its moments after this.
        let now = self.now();
        if behind.look(now, &self.clock, newest) {
            // What counts as struck is another.
            *held = None;
        }
        if self.registry.upgrade().ok_or(Stop::Ended)?.follows() {
            // Whoever keeps the lists strikes; a walk is made anew when this process does.
            *held = None;
            return Err(Stop::Later);
        }
        let generation = self.live.load_full();
        let fresh = held
            .take()
            .filter(|held| held.book == generation.book.version() && now < held.walk_at);
        let held = held.insert(match fresh {
            Some(held) => held,
            None => self.walk(&generation, now, behind)?,
        });
        self.read_on(held, &generation, behind).map_err(|error| {
            tracing::warn!(
                error = %creditgate_runtime::errors::Chain(&error),
                "the clock cannot read the change log; it tries again"
            );
            Stop::Later
        })?;
        drop(generation);
        self.strike(held, now, behind).await?;
        if behind.for_long(now) {
            self.set_back(behind).await?;
        }
        self.mark(now, began).await
    }

    /// What counts as struck.
    fn struck(&self, behind: &Behind) -> Struck {
        let desk = self.desk.load();
        match behind.since().zip(desk.newest) {
            None => Struck {
                place: desk.clock_place.clone(),
                ran_ahead: desk.ran_ahead,
            },
            // As it will be with the mark.
            Some((set_back_to, newest)) => {
                let until = desk.ran_ahead.map_or(newest, |before| before.until);
                Struck {
                    place: Some(place_of(&mark(set_back_to), set_back_to)),
                    ran_ahead: Some(RanAhead {
                        set_back_to,
                        until: until.max(newest),
                    }),
                }
            }
        }
    }

    /// Finds the near moments of all entries and of the book.
    fn walk(&self, generation: &Generation, now: Time, behind: &Behind) -> Result<Held, Stop> {
        let started = Instant::now();
        let Struck { place, ran_ahead } = self.struck(behind);
        let struck = place.as_ref();
        let (lists, book) = (&generation.lists, &generation.book);
        let mut horizon = Horizon::beginning(now);
        for (walked, body) in lists.bodies().enumerate() {
            if walked.is_multiple_of(LOOK_EVERY) && *self.ended.borrow() {
                return Err(Stop::Ended);
            }
            if let Ok(entry) = Entry::from_stored(body) {
                let recorded = known_at(&entry, ran_ahead);
                horizon.take(of_entry(&entry, recorded, book), struck);
            }
        }
        let book_recorded = self.book_recorded().unwrap_or(now);
        let book_recorded = recorded_by(book_recorded, ran_ahead);
        horizon.take(of_book(book, book_recorded).into_iter(), struck);
        tracing::debug!(
            entries = lists.len(),
            moments = horizon.len(),
            took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            "the moments of the next two days are known"
        );
        Ok(Held {
            horizon,
            book: book.version(),
            book_recorded,
            read: (lists.version().seq, None),
            walk_at: now.plus_micros(DAY_MICROS),
        })
    }

    /// When the book in force was recorded.
    fn book_recorded(&self) -> Option<Time> {
        let at = self.past.books().into_iter().next()?;
        let (_, _, recorded_at) = self.past.log().book_entered_at(at).ok()?;
        Some(recorded_at)
    }

    /// Takes the moments of entries that changed since.
    fn read_on(
        &self,
        held: &mut Held,
        generation: &Generation,
        behind: &Behind,
    ) -> Result<(), Error> {
        let up_to = generation.lists.version().seq;
        let (read, at) = held.read;
        if read >= up_to {
            return Ok(());
        }
        let log = self.past.log();
        let Struck { place, ran_ahead } = self.struck(behind);
        let records: Box<dyn Iterator<Item = Result<Entered, Error>> + '_> = match at {
            Some(at) => Box::new(log.read_from(at).skip(1)),
            None => Box::new(log.read_from_seq(read + 1)),
        };
        for entered in records {
            let entered = entered?;
            if entered.seq > up_to {
                break;
            }
            held.read = (entered.seq, Some(entered.position));
            if let What::Put(put) = &entered.what
                && let Ok(entry) = Entry::from_stored(&put.stored)
            {
                let recorded = known_at(&entry, ran_ahead).max(entered.recorded_at);
                let moments = of_entry(&entry, recorded, &generation.book);
                held.horizon.take(moments, place.as_ref());
            }
        }
        Ok(())
    }

    /// Records what has come, in order, in runs.
    async fn strike(&self, held: &mut Held, now: Time, behind: &mut Behind) -> Result<(), Stop> {
        loop {
            let come = held.horizon.come(now, RUN_MAX);
            if come.is_empty() {
                return Ok(());
            }
            // It was struck for later already: first the log says why it is struck again.
            self.set_back(behind).await?;
            let (batch, recorded) = (come.clone(), held.book_recorded);
            self.transact(move |view| {
                let rows = match batch.iter().any(|moment| moment.of_book) {
                    true => of_book(view.book, recorded),
                    false => Default::default(),
                };
                let struck = view.desk.clock_place.as_ref();
                let due = batch
                    .iter()
                    .filter(|moment| struck.is_none_or(|struck| *struck < moment.place))
                    .filter(|moment| {
                        moment.stands(view.lists, &rows, view.book, view.desk.ran_ahead)
                    })
                    .map(|moment| Planned::Clock(moment.record()));
                due.collect()
            })
            .await?;
            held.horizon.struck(&come);
        }
    }

    /// Records that the clock was set back, where it is behind what is recorded.
    async fn set_back(&self, behind: &mut Behind) -> Result<(), Stop> {
        let Some(since) = behind.since() else {
            return Ok(());
        };
        self.transact(move |view| {
            // Meanwhile it may have caught up.
            let from = view.desk.newest.filter(|newest| *newest > view.now);
            let set_back = from.map(|from| {
                Planned::Clock(ClockStruck {
                    set_back_from: Some(time_to_proto(from)),
                    ..mark(since)
                })
            });
            set_back.into_iter().collect()
        })
        .await?;
        behind.recorded();
        Ok(())
    }

    /// Records once a day that everything that came is recorded.
    async fn mark(&self, now: Time, began: Time) -> Result<(), Stop> {
        let up_to = self.desk.load().clock_up_to.unwrap_or(began);
        if now.since(up_to) < DAY_MICROS {
            return Ok(());
        }
        self.transact(move |view| {
            let later = view.desk.clock_up_to.is_none_or(|up_to| up_to < now);
            let mark = || Planned::Clock(mark(now));
            later.then(mark).into_iter().collect()
        })
        .await
    }

    async fn transact(
        &self,
        plan: impl FnOnce(&View<'_>) -> Vec<Planned> + Send + 'static,
    ) -> Result<(), Stop> {
        let registry = self.registry.upgrade().ok_or(Stop::Ended)?;
        let plan = move |view: &View<'_>| Ok((plan(view), ()));
        match registry.transact_as(CALLER.into(), plan).await {
            Ok(_) => Ok(()),
            Err(ChangeError::Closed | ChangeError::Fenced) => Err(Stop::Ended),
            Err(error) => {
                tracing::debug!(%error, "what came by time alone is not recorded yet");
                Err(Stop::Later)
            }
        }
    }
}

/// The record that everything up to a time is recorded.
fn mark(up_to: Time) -> ClockStruck {
    ClockStruck {
        kind: MARK.to_owned(),
        due_at: Some(time_to_proto(up_to)),
        ..ClockStruck::default()
    }
}

/// The place of a record in the order of striking.
pub(crate) fn place_of(struck: &ClockStruck, due: Time) -> ClockPlace {
    // A mark stands behind everything of its time.
    let kind = match struck.kind.as_str() {
        MARK => "~",
        kind => kind,
    };
    let id = match struck.entry_id.is_empty() {
        true => &struck.row_id,
        false => &struck.entry_id,
    };
    ClockPlace {
        due,
        kind: kind.to_owned(),
        id: id.clone(),
    }
}
