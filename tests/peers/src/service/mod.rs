//! The services: each a process of its own, asked by one load generator over the interface it likes best.

pub mod cerbos;
pub mod creditgate;
pub mod load;
pub mod opa;
pub mod process;
pub mod run;

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;

use crate::inside::Fault;
use crate::world::Step;

/// What happens later.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = Result<T, Fault>> + Send + 'a>>;

/// How steps are asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// One step a call.
    Unary,
    /// Many steps a call.
    Batch,
}

/// A service under comparison.
pub trait Service: Send {
    /// What the table calls it.
    fn name(&self) -> &'static str;

    /// Its process.
    fn process(&self) -> &process::Process;

    /// Steps in a call, the most it takes well.
    fn steps_a_call(&self, mode: Mode) -> usize;

    /// The body of a call about these steps. No time is taken of this.
    fn request(&self, run: &str, steps: &[Step], mode: Mode) -> Bytes;

    /// How many steps of a call an answer answers, where a call may succeed without answering all.
    fn answered(&self, _: Mode) -> Option<fn(&[u8]) -> usize> {
        None
    }

    /// A connection of its own for calls.
    fn connect(&self, mode: Mode) -> Later<'_, Box<dyn Connection>>;

    /// Whether a connection takes many calls at once (HTTP/2) or one after the other (HTTP/1.1).
    fn multiplexes(&self) -> bool;

    /// The ranks of each step's parties, as the body of an answer tells them.
    fn ranks(&self, answer: &[u8], steps: &[Step], mode: Mode) -> Result<Vec<Vec<u8>>, Fault>;
}

/// A connection to a service.
pub trait Connection: Send {
    /// Sends a body and waits for the answer's. An answer that is no success is a fault.
    fn call(&mut self, body: Bytes) -> Later<'_, Bytes>;

    /// The same connection for one more call at a time, where it multiplexes.
    fn again(&self) -> Option<Box<dyn Connection>>;
}
