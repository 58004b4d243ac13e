//! What a caller may do.

use std::fmt;

use serde::Deserialize;

/// Something a caller may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    /// Have events decided.
    Check,
    /// Bring and change lists.
    Lists,
    /// Read verdicts and entries, replay.
    Read,
    /// Follow verdicts and entries as they come.
    Watch,
    /// Put books in force, and confirm rows of them.
    Publish,
    /// Decide recorded events again with another book, and let one run beside the book in force.
    Simulate,
    /// Close cases, decide what is proposed in them, and have them reviewed.
    Cases,
    /// Report how measures were carried out, and acknowledge lift orders.
    Feedback,
    /// Look after the systems that changes, verdicts and notices are sent to.
    Operate,
    /// See who may do what.
    Secure,
    /// See who called.
    Audit,
    /// Tell subjects what is kept of them, and take their objections and applications (窗口人员).
    Subject,
}

/// Duties of administrators, of whom nobody may hold two (GB/T 22239, level 3).
pub(super) const DUTIES: [Permission; 3] =
    [Permission::Operate, Permission::Secure, Permission::Audit];

/// A set of permissions.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Permissions(pub(super) u16);

impl Permissions {
    /// Every permission there is.
    pub const ALL: Permissions = Permissions(u16::MAX);

    /// Whether the permission is in the set.
    pub fn contains(self, permission: Permission) -> bool {
        self.0 & permission.bit() != 0
    }
}

impl Permission {
    /// Every one there is.
    pub const EVERY: [Permission; 12] = [
        Permission::Check,
        Permission::Lists,
        Permission::Read,
        Permission::Watch,
        Permission::Publish,
        Permission::Simulate,
        Permission::Cases,
        Permission::Feedback,
        Permission::Operate,
        Permission::Secure,
        Permission::Audit,
        Permission::Subject,
    ];

    /// The word for it, as a keys file writes it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Permission::Check => "check",
            Permission::Lists => "lists",
            Permission::Read => "read",
            Permission::Watch => "watch",
            Permission::Publish => "publish",
            Permission::Simulate => "simulate",
            Permission::Cases => "cases",
            Permission::Feedback => "feedback",
            Permission::Operate => "operate",
            Permission::Secure => "secure",
            Permission::Audit => "audit",
            Permission::Subject => "subject",
        }
    }

    /// A list of this one.
    pub(super) fn alone(self) -> &'static [Permission] {
        static EVERY: [Permission; 12] = Permission::EVERY;
        std::slice::from_ref(&EVERY[self as usize])
    }

    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

impl FromIterator<Permission> for Permissions {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> Permissions {
        Permissions(
            permissions
                .into_iter()
                .fold(0, |bits, permission| bits | permission.bit()),
        )
    }
}

impl fmt::Debug for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(Permission::EVERY.iter().filter(|one| self.contains(**one)))
            .finish()
    }
}

/// Permissions of which each is enough.
pub(super) fn in_words(permissions: &[Permission]) -> String {
    let words: Vec<String> = permissions
        .iter()
        .map(|one| format!("`{}`", one.word()))
        .collect();
    words.join(" or ")
}
