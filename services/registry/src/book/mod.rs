//! How a book comes into force: packed, signed, verified, validated, recorded, and then in use.

mod confirmed;
mod error;
mod force;
mod info;
mod keys;
mod pack;
mod service;
mod start;

pub use confirmed::{Confirmation, Withdrawal};
pub use error::{PublishError, Refusal};
pub use force::{InForce, Publication};
pub use keys::{Signature, TrustedKeys, Untrusted};
pub use pack::{Pack, PackError, open, seal};
pub use service::{BooksService, Simulations};

pub(crate) use force::{BookChange, load_after};
pub(crate) use start::{Chosen, choose};

#[cfg(test)]
mod tests;
