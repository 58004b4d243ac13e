//! The gate: check, batch, stream, replay, over gRPC.
