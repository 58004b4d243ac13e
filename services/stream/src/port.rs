//! What a loop needs of the cluster, as traits: so that it can run against a simulated broker, step by step.

use std::time::Duration;

use creditgate_runtime::kafka::chain::Head;
use creditgate_runtime::kafka::group::{Lane, Next};
use creditgate_runtime::kafka::{Error, Offsets, Outgoing, Unwritten, Writer};

/// The records of one partition, and where the group stands in it.
pub(crate) trait Records {
    /// A place of the group that can go with a transaction.
    type Place;

    /// The partition.
    fn partition(&self) -> i32;

    /// See [`Lane::next`].
    fn next(&self, wait: Duration) -> Next;

    /// See [`Lane::has_waiting`].
    fn has_waiting(&self) -> bool;

    /// See [`Lane::is_stopping`].
    fn is_stopping(&self) -> bool;

    /// See [`Lane::committed`].
    fn committed(&self) -> Result<i64, Error>;

    /// See [`Lane::offsets`].
    fn offsets(&self, next: i64) -> Result<Self::Place, Error>;

    /// Lets time pass.
    fn pause(&self, time: Duration);
}

/// Transactions under one id.
pub(crate) trait Transactions {
    /// See [`Records::Place`].
    type Place;

    /// See [`Writer::renew`].
    fn renew(&mut self, patience: Duration) -> Result<(), Error>;

    /// See [`Writer::is_whole`].
    fn is_whole(&self) -> bool;

    /// See [`Writer::listen`].
    fn listen(&self);

    /// See [`Writer::write`].
    fn write(&mut self, records: &[Outgoing]) -> Result<(), Unwritten>;

    /// See [`Writer::chain_head`].
    fn chain_head(&self, writer: &str, partition: i32, barrier: u64)
    -> Result<Option<Head>, Error>;

    /// See [`Writer::begin`].
    fn begin(&mut self) -> Result<(), Unwritten>;

    /// See [`Writer::add`].
    fn add(&mut self, record: &Outgoing) -> Result<(), Unwritten>;

    /// See [`Writer::commit`].
    fn commit(&mut self, place: Option<&Self::Place>) -> Result<(), Unwritten>;
}

impl Records for Lane {
    type Place = Offsets;

    fn partition(&self) -> i32 {
        self.partition
    }

    fn next(&self, wait: Duration) -> Next {
        self.next(wait)
    }

    fn has_waiting(&self) -> bool {
        self.has_waiting()
    }

    fn is_stopping(&self) -> bool {
        self.is_stopping()
    }

    fn committed(&self) -> Result<i64, Error> {
        self.committed()
    }

    fn offsets(&self, next: i64) -> Result<Offsets, Error> {
        self.offsets(next)
    }

    fn pause(&self, time: Duration) {
        std::thread::sleep(time);
    }
}

impl Transactions for Writer {
    type Place = Offsets;

    fn renew(&mut self, patience: Duration) -> Result<(), Error> {
        self.renew(patience)
    }

    fn is_whole(&self) -> bool {
        self.is_whole()
    }

    fn listen(&self) {
        self.listen();
    }

    fn write(&mut self, records: &[Outgoing]) -> Result<(), Unwritten> {
        Self::write(self, records)
    }

    fn chain_head(
        &self,
        writer: &str,
        partition: i32,
        barrier: u64,
    ) -> Result<Option<Head>, Error> {
        self.chain_head(writer, partition, barrier)
    }

    fn begin(&mut self) -> Result<(), Unwritten> {
        self.begin()
    }

    fn add(&mut self, record: &Outgoing) -> Result<(), Unwritten> {
        self.add(record)
    }

    fn commit(&mut self, place: Option<&Offsets>) -> Result<(), Unwritten> {
        self.commit(place)
    }
}
