//! Files that are looked at again and again: certificates, and who may call.

use std::time::Duration;

use tokio::task::JoinError;

use crate::shutdown::Shutdown;

/// What the next look tells, after this time; none: a stop is asked for. It looks on a thread that may block, and nobody waits
/// for it at a stop: files may lie on a disk that hangs.
pub(crate) async fn next_look<T: Send + 'static>(
    every: Duration,
    shutdown: &Shutdown,
    look: impl FnOnce() -> T + Send + 'static,
) -> Option<Result<T, JoinError>> {
    tokio::select! {
        () = shutdown.wait() => return None,
        () = tokio::time::sleep(every) => {}
    }
    tokio::select! {
        () = shutdown.wait() => None,
        looked = tokio::task::spawn_blocking(look) => Some(looked),
    }
}
