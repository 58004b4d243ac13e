//! The one writer of lists: import, life cycle, confirmations, and the change log that gates follow.
