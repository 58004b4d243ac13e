//! The only place where bytes become values of our own: the gRPC contract, JSON, and conversions.

/// The public contract: messages with their JSON form, clients and servers.
#[allow(
    missing_docs,
    clippy::all,
    clippy::unwrap_used,
    clippy::wildcard_imports,
    reason = "generated code; the .proto files carry the comments, and a test asks for them"
)]
pub mod v1 {
    tonic::include_proto!("creditgate.v1");
    include!(concat!(env!("OUT_DIR"), "/creditgate.v1.serde.rs"));
}

/// Payloads of journal records.
#[allow(missing_docs, clippy::all, reason = "generated code, as above")]
pub mod journal_v1 {
    tonic::include_proto!("creditgate.journal.v1");
}
