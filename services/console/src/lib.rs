//! HTTP: check as JSON, CloudEvents, health and metrics.
