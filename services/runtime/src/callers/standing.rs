//! A caller for as long as a stream stands: whenever it is read again who may call, the stream goes on with what holds now,
//! or ends.

use tokio::sync::watch;
use tonic::Status;

use super::caller::{Became, Caller};
use super::{NotPermitted, Permission};
use crate::access::Outcome;

/// The caller of a stream. To ask whether it still may costs one atomic load while nothing has changed.
#[derive(Debug)]
pub struct Standing {
    caller: Caller,
    needs: Permission,
    became: watch::Receiver<Became>,
}

/// Why a stream ends before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ended {
    /// The caller is not known any more by what it showed.
    #[error(
        "who may call has changed, and this caller is not known any more, or by something else: begin the stream anew with \
         what holds now"
    )]
    Unknown,
    /// It is known, and may not do this any more.
    #[error("who may call has changed: {0}")]
    NotPermitted(NotPermitted),
}

impl Ended {
    /// `UNAUTHENTICATED` or `PERMISSION_DENIED`.
    #[must_use]
    pub fn status(self) -> Status {
        match self {
            Self::Unknown => Status::unauthenticated(self.to_string()),
            Self::NotPermitted(_) => Status::permission_denied(self.to_string()),
        }
    }
}

impl Standing {
    /// A caller that was let in to do what needs this permission.
    #[must_use]
    pub fn new(caller: Caller, needs: Permission) -> Self {
        let became = caller.follows();
        Self {
            caller,
            needs,
            became,
        }
    }

    /// The caller, as it was known when it was last asked after.
    #[must_use]
    pub const fn caller(&self) -> &Caller {
        &self.caller
    }

    /// The caller as it is known now.
    ///
    /// # Errors
    /// When it may not go on; takes note of that.
    pub fn still(&mut self) -> Result<&Caller, Ended> {
        // The sender is a part of the caller.
        while self.became.has_changed().unwrap_or(false) {
            let became = self.became.borrow_and_update().clone();
            match became {
                Became::Itself => {}
                Became::Another(now) if now.may(self.needs) => {
                    self.caller = now.instead_of(&self.caller);
                    self.became = self.caller.follows();
                }
                Became::Another(_) => {
                    let lacks = NotPermitted::Lacks(self.needs.alone());
                    return Err(self.ends(Ended::NotPermitted(lacks)));
                }
                Became::Nobody => return Err(self.ends(Ended::Unknown)),
            }
        }
        Ok(&self.caller)
    }

    /// Returns once it may not go on. To be dropped at any time.
    pub async fn ended(&mut self) -> Ended {
        loop {
            if let Err(ended) = self.still() {
                return ended;
            }
            if self.became.changed().await.is_err() {
                // Nobody is left to say so.
                return std::future::pending().await;
            }
            // What has changed is looked at above.
            self.became.mark_changed();
        }
    }

    fn ends(&mut self, ended: Ended) -> Ended {
        let outcome = match ended {
            Ended::Unknown => Outcome::Unauthenticated,
            Ended::NotPermitted(_) => Outcome::PermissionDenied,
        };
        self.caller.note(outcome, || ended.to_string());
        // Whoever asks once more is told the same.
        self.became.mark_changed();
        ended
    }
}
