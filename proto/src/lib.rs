//! The only place where bytes become values of our own: the gRPC contract, JSON, and conversions.
