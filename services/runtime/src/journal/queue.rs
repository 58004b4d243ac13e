//! The queue: what waits for the writer, bounded by bytes, and refused as a whole once it is over.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use tokio::sync::{Semaphore, oneshot};

use super::error::AppendError;
use super::{Appended, NewRecord, envelope};

/// Records that one caller wants appended, and where to answer.
pub(super) enum Request {
    One {
        record: NewRecord,
        reply: oneshot::Sender<Result<Appended, AppendError>>,
    },
    Run {
        records: Vec<NewRecord>,
        reply: oneshot::Sender<Result<Vec<Appended>, AppendError>>,
    },
}

impl Request {
    pub(super) fn bytes(&self) -> usize {
        self.records()
            .iter()
            .map(|record| envelope::record_bytes(&record.payload))
            .sum()
    }

    pub(super) fn records(&self) -> &[NewRecord] {
        match self {
            Self::One { record, .. } => std::slice::from_ref(record),
            Self::Run { records, .. } => records,
        }
    }

    /// Answers that nothing was, or may not have been, recorded. A caller who left is no error.
    pub(super) fn refuse(self, error: AppendError) {
        match self {
            Self::One { reply, .. } => drop(reply.send(Err(error))),
            Self::Run { reply, .. } => drop(reply.send(Err(error))),
        }
    }
}

/// What the writer got when it asked for work.
pub(super) enum Taken {
    Requests,
    Idle,
    Over,
}

/// For how many records the writer waits once there is one, and how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gather {
    records: usize,
    at_most: Duration,
}

impl Gather {
    /// Not at all.
    pub(super) const NONE: Self = Self::until(0, Duration::ZERO);

    pub(super) const fn until(records: usize, at_most: Duration) -> Self {
        Self { records, at_most }
    }
}

/// See the module.
pub(super) struct Queue {
    state: Mutex<State>,
    arrived: Condvar,
    room: Semaphore,
    bytes_max: usize,
    records: AtomicUsize,
}

struct State {
    requests: VecDeque<Request>,
    /// Records in `requests`.
    waiting: usize,
    /// With so many of them the writer is woken.
    wanted: usize,
    /// Why nothing is taken in any more.
    refusal: Option<AppendError>,
}

impl Queue {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self {
            state: Mutex::new(State {
                requests: VecDeque::new(),
                waiting: 0,
                wanted: 1,
                refusal: None,
            }),
            arrived: Condvar::new(),
            room: Semaphore::new(bytes_max),
            bytes_max,
            records: AtomicUsize::new(0),
        }
    }

    /// Waits for room, then puts the request in line. Room is given in the order of asking.
    pub(super) async fn put(&self, request: Request) -> Result<(), AppendError> {
        match self.room.acquire_many(self.weight(&request)).await {
            Ok(permit) => permit.forget(),
            Err(_closed) => return Err(self.refusal()),
        }
        let mut state = self.state.lock();
        if let Some(refusal) = &state.refusal {
            return Err(refusal.clone());
        }
        let records = request.records().len();
        self.records.fetch_add(records, Ordering::Relaxed);
        let before = state.waiting;
        state.waiting += records;
        state.requests.push_back(request);
        let reached = before < state.wanted && state.waiting >= state.wanted;
        drop(state);
        if reached {
            self.arrived.notify_one();
        }
        Ok(())
    }

    /// Moves everything in line to the writer; waits at most `patience` if there is nothing, and then
    /// for company.
    pub(super) fn take(
        &self,
        into: &mut VecDeque<Request>,
        patience: Option<Duration>,
        gather: Gather,
    ) -> Taken {
        let mut state = self.state.lock();
        while state.requests.is_empty() {
            if state.refusal.is_some() {
                return Taken::Over;
            }
            match patience {
                None => self.arrived.wait(&mut state),
                Some(patience) => {
                    if self.arrived.wait_for(&mut state, patience).timed_out()
                        && state.requests.is_empty()
                    {
                        return Taken::Idle;
                    }
                }
            }
        }
        if state.waiting < gather.records {
            let until = Instant::now() + gather.at_most;
            state.wanted = gather.records;
            while state.waiting < gather.records && state.refusal.is_none() {
                if self.arrived.wait_until(&mut state, until).timed_out() {
                    break;
                }
            }
            state.wanted = 1;
        }
        state.waiting = 0;
        std::mem::swap(&mut state.requests, into);
        Taken::Requests
    }

    /// Gives back the room of a request that leaves the writer's hands.
    pub(super) fn release(&self, request: &Request) {
        self.records
            .fetch_sub(request.records().len(), Ordering::Relaxed);
        self.room.add_permits(self.weight(request) as usize);
    }

    /// Takes nothing in any more. What is already in line stays there for the writer.
    pub(super) fn refuse_further(&self, refusal: AppendError) {
        let mut state = self.state.lock();
        if state.refusal.is_none() || matches!(refusal, AppendError::Failed { .. }) {
            state.refusal = Some(refusal);
        }
        drop(state);
        self.room.close();
        self.arrived.notify_one();
    }

    /// Answers everything still in line with the refusal.
    pub(super) fn refuse_waiting(&self) {
        let waiting = {
            let mut state = self.state.lock();
            state.waiting = 0;
            std::mem::take(&mut state.requests)
        };
        let refusal = self.refusal();
        for request in waiting {
            self.release(&request);
            request.refuse(refusal.clone());
        }
    }

    /// Why nothing is taken in any more.
    pub(super) fn refusal(&self) -> AppendError {
        self.state
            .lock()
            .refusal
            .clone()
            .unwrap_or(AppendError::Closed)
    }

    /// Whether less than a quarter of the room is left.
    pub(super) fn is_saturated(&self) -> bool {
        self.room.available_permits() < self.bytes_max / 4
    }

    pub(super) fn records(&self) -> usize {
        self.records.load(Ordering::Relaxed)
    }

    /// A record larger than the whole queue is let in when the queue is empty.
    fn weight(&self, request: &Request) -> u32 {
        u32::try_from(request.bytes().min(self.bytes_max)).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use super::super::block_on;
    use super::*;

    const LONG: Duration = Duration::from_secs(600);

    fn put(queue: &Queue, records: usize) {
        let (reply, _) = oneshot::channel();
        let records = vec![NewRecord::new(1, 0, "payload"); records];
        block_on(queue.put(Request::Run { records, reply })).unwrap();
    }

    fn taking(queue: &Arc<Queue>, records: usize) -> thread::JoinHandle<usize> {
        let queue = Arc::clone(queue);
        thread::spawn(move || {
            let mut line = VecDeque::new();
            queue.take(&mut line, None, Gather::until(records, LONG));
            line.iter().map(|request| request.records().len()).sum()
        })
    }

    #[test]
    fn the_writer_waits_until_there_are_as_many_as_it_wants() {
        let queue = Arc::new(Queue::new(1 << 20));
        let taken = taking(&queue, 5);
        for _ in 0..3 {
            put(&queue, 2);
        }
        assert!((5..=6).contains(&taken.join().unwrap()));
        let queue = Arc::new(Queue::new(1 << 20));
        put(&queue, 9);
        assert_eq!(taking(&queue, 5).join().unwrap(), 9);
    }

    #[test]
    fn it_waits_for_nobody_once_nothing_is_taken_in_any_more() {
        let queue = Arc::new(Queue::new(1 << 20));
        let taken = taking(&queue, 5);
        put(&queue, 2);
        queue.refuse_further(AppendError::Closed);
        assert_eq!(taken.join().unwrap(), 2);
    }
}
