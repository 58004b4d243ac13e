//! A future that goes on when nobody waits for it any more.
//!
//! A caller may leave while its record is being written. The slot must then still learn whether
//! the record became durable: were it simply freed, a repeat could be decided and answered
//! differently from what the journal holds.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::Handle;

pub(crate) struct Persistent<F>(Option<Pin<Box<F>>>)
where
    F: Future + Send + 'static,
    F::Output: Send;

impl<F> Persistent<F>
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    pub(crate) fn new(future: F) -> Self {
        Self(Some(Box::pin(future)))
    }
}

impl<F> Future for Persistent<F>
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        match &mut self.0 {
            Some(future) => {
                let polled = future.as_mut().poll(context);
                if polled.is_ready() {
                    self.0 = None;
                }
                polled
            }
            None => Poll::Pending,
        }
    }
}

impl<F> Drop for Persistent<F>
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn drop(&mut self) {
        // Without a runtime the process is ending; the next start reads the journal.
        if let Some(future) = self.0.take()
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(future);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn it_goes_on_after_its_caller_left() {
        let (start, started) = oneshot::channel::<()>();
        let (done, finished) = oneshot::channel();
        let work = Persistent::new(async move {
            let _ = started.await;
            let _ = done.send(7);
        });
        let left = tokio::time::timeout(Duration::from_millis(5), work).await;
        assert!(left.is_err());
        start.send(()).unwrap();
        assert_eq!(finished.await.unwrap(), 7);
    }
}
