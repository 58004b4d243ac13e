//! The lists as one immutable snapshot: what is known, since when, and how to find it.

/// Version of the lists: which change log, and how far it was read (spec 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListVersion {
    /// The change log.
    pub log_id: uuid::Uuid,
    /// Dense sequence number of the last change applied; 0 before the first.
    pub seq: u64,
}

impl std::fmt::Display for ListVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.log_id, self.seq)
    }
}
