//! The only place where bytes become values of our own: the gRPC contract, JSON, and conversions.
//!
//! In goes [`decode`]: a message becomes an event or an entry, or a [`Refused`] that names every
//! rule it does not keep and never a person. Out goes [`encode`]. [`json`] and [`cloudevents`] are
//! other spellings of the same messages; [`status`] turns refusals into gRPC errors. This crate
//! knows nothing of sockets, HTTP or Kafka, and nothing in it panics.

mod answer;
pub mod changes;
pub mod cloudevents;
pub mod codec;
pub mod decode;
pub mod encode;
mod entry;
pub mod feedback;
pub mod json;
mod masked;
pub mod records;
mod refused;
pub mod status;
pub mod subject;
mod version;
pub mod who;

pub use answer::AnswerDigest;
pub use entry::{EntryDraft, RelatedDraft, entry_from_proto, entry_to_proto};
pub use refused::{Refused, Violation};
pub use version::{MinListVersion, NotAVersion, list_version_from_text, verdict_id_from_text};

/// The public contract: messages with their JSON form, clients and servers.
#[allow(
    missing_docs,
    rust_2018_idioms,
    clippy::all,
    clippy::wildcard_imports,
    reason = "generated code; the .proto files carry the comments, and a test asks for them"
)]
pub mod v1 {
    tonic::include_proto!("creditgate.v1");
    include!(concat!(env!("OUT_DIR"), "/creditgate.v1.serde.rs"));
}

/// What the journal keeps. The nesting is that of the packages, by which generated code finds
/// [`crate::v1`].
pub mod journal {
    /// Payloads of journal records.
    #[allow(missing_docs, clippy::all, reason = "generated code, as above")]
    pub mod v1 {
        tonic::include_proto!("creditgate.journal.v1");
    }
}

/// The descriptors of every message and service, for reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/creditgate.fds"));

/// Most events in one batch.
pub const BATCH_EVENTS_MAX: usize = 10_000;

/// Every call of the contract, as a path such as `/creditgate.v1.Gate/Check`.
///
/// # Panics
/// Never: the descriptors are those that this crate was built from.
#[must_use]
pub fn calls() -> std::collections::HashSet<String> {
    use prost::Message as _;

    let set = prost_types::FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).expect("descriptors");
    let mut calls = std::collections::HashSet::new();
    for file in &set.file {
        for service in &file.service {
            for method in &service.method {
                let (package, service) = (file.package(), service.name());
                calls.insert(format!("/{package}.{service}/{}", method.name()));
            }
        }
    }
    calls
}
