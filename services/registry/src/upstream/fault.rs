//! Why a record of the topic is not taken: each says where it lies and what to do.

use creditgate_measures::book::{BookErrors, BookVersion};
use creditgate_runtime::journal::{AppendError, ReadError};
use uuid::Uuid;

use crate::error::Error;

/// See the module. Nothing after such a record is taken: the lists stay as they were before it.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// It is no record of ours.
    #[error(
        "the record at offset {offset} of the list changes has no `{part}` that this version understands: find out who wrote it; only the registry may write to this topic"
    )]
    Form {
        /// Where.
        offset: i64,
        /// Which part.
        part: &'static str,
    },
    /// It belongs to another change log.
    #[error(
        "the record at offset {offset} of the list changes belongs to change log {found}, not to {own}: two registries have written to one topic, or the topic was made anew; use the topics that belong to this data directory, or a new data directory"
    )]
    OtherLog {
        /// Where.
        offset: i64,
        /// Our log.
        own: Uuid,
        /// Its log.
        found: Uuid,
    },
    /// A record before it is missing, or it is there twice.
    #[error(
        "the record at offset {offset} of the list changes has number {found} where {due} is due: records of the topic are gone or doubled; restore the topic from a replica or a backup"
    )]
    Gap {
        /// Where.
        offset: i64,
        /// The number due.
        due: u64,
        /// Its number.
        found: u64,
    },
    /// It or a record before it is not what was written.
    #[error(
        "the record at offset {offset} of the list changes (number {seq}) does not continue the chain: it or one before it was changed; restore the topic from a replica or a backup"
    )]
    Chain {
        /// Where.
        offset: i64,
        /// Its number.
        seq: u64,
    },
    /// The copy on this disk says something else up to this record.
    #[error(
        "up to the record at offset {offset} of the list changes (number {seq}) the copy in `changes` differs from the topic: move `changes` and `lists` of the data directory away; they are read anew from the topic"
    )]
    CopyDiffers {
        /// Where.
        offset: i64,
        /// Its number.
        seq: u64,
    },
    /// The copy goes on where the topic ends.
    #[error(
        "the topic of the list changes ends with record {topic} and the copy in `changes` with {copy}: the topic has lost records; restore it from a replica or a backup"
    )]
    CopyAhead {
        /// Number of the last record of the topic.
        topic: u64,
        /// Number of the last record of the copy.
        copy: u64,
    },
    /// It is intact, and this version does not understand it.
    #[error(
        "the record at offset {offset} of the list changes is not understood: use the version that wrote it, or a later one"
    )]
    NotUnderstood {
        /// Where.
        offset: i64,
        /// Why.
        #[source]
        source: Box<Error>,
    },
    /// It brings a book that this version cannot load.
    #[error(
        "book {version} of the list changes cannot be loaded: use the version that recorded it, or a later one"
    )]
    Book {
        /// Which.
        version: BookVersion,
        /// Why.
        #[source]
        source: BookErrors,
    },
    /// It brings a book that this version reads as another one.
    #[error(
        "book {version} of the list changes reads as {read} here: use the version that recorded it"
    )]
    OtherBook {
        /// What was recorded.
        version: BookVersion,
        /// What it is here.
        read: BookVersion,
    },
    /// The copy takes no records.
    #[error("copy the list changes to `changes`: look at the disk, then start again")]
    Append(#[from] AppendError),
    /// The copy cannot be read.
    #[error("read the copy of the list changes in `changes`")]
    Read(#[from] ReadError),
    /// The names could not be indexed anew for a new book.
    #[error("index the names for a new book: look at the disk, then start again")]
    Names(#[source] Box<Error>),
}
