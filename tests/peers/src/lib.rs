//! This decision and this service beside others that could do the same work: one policy, told to each in its own words.
//!
//! Everything in it is invented and follows from a seed. [`policy`] makes the rows, [`world`] the parties, entries and
//! events; [`inside`] are the engines that run in this process, [`service`] those that run as a server.

pub mod inside;
pub mod policy;
pub mod service;
pub mod table;
pub mod world;
