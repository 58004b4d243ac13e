//! The form in which a case is kept: one version byte, then postcard.
//!
//! It is a projection: bytes of another version are refused, and the case is built anew from the
//! journals.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::CaseState;

/// Version of the form; raised with every change of what a case holds.
pub(crate) const VERSION: u8 = 4;

/// Bytes that are no case of this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a stored case of this version: build it anew from the journals")]
pub struct NotStored;

impl CaseState {
    /// The bytes under which it is kept.
    #[must_use]
    pub fn to_stored(&self) -> Vec<u8> {
        // Nothing in a case is of a kind that postcard refuses.
        postcard::to_extend(self, vec![VERSION]).unwrap_or_default()
    }

    /// Reads what [`CaseState::to_stored`] wrote.
    ///
    /// # Errors
    /// When the bytes are of another version, or no case.
    pub fn from_stored(bytes: &[u8]) -> Result<Self, NotStored> {
        let rest = match bytes.split_first() {
            Some((&VERSION, rest)) => rest,
            _ => return Err(NotStored),
        };
        match postcard::take_from_bytes(rest) {
            Ok((state, [])) => Ok(state),
            _ => Err(NotStored),
        }
    }
}

/// A text about a person that prints masked.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Masked(pub String);

impl std::fmt::Debug for Masked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("＊＊＊")
    }
}

impl From<&str> for Masked {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// A UUID as a number, for verdicts and orders.
pub mod id {
    use super::{Deserialize, Deserializer, Serialize, Serializer};
    use creditgate_measures::verdict::VerdictId;
    use uuid::Uuid;

    pub(crate) fn serialize<S: Serializer>(id: &VerdictId, to: S) -> Result<S::Ok, S::Error> {
        id.0.as_u128().serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<VerdictId, D::Error> {
        u128::deserialize(from).map(|id| VerdictId(Uuid::from_u128(id)))
    }

    /// The same where there may be none.
    pub mod maybe {
        use super::{Deserialize, Deserializer, Serialize, Serializer, Uuid, VerdictId};

        pub(crate) fn serialize<S: Serializer>(
            id: &Option<VerdictId>,
            to: S,
        ) -> Result<S::Ok, S::Error> {
            id.map(|id| id.0.as_u128()).serialize(to)
        }

        pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
            from: D,
        ) -> Result<Option<VerdictId>, D::Error> {
            let id = Option::<u128>::deserialize(from)?;
            Ok(id.map(|id| VerdictId(Uuid::from_u128(id))))
        }
    }
}

/// A message as its own bytes.
pub mod message {
    use super::{Deserialize, Deserializer, Serialize, Serializer};
    use prost::Message;
    use serde::de::Error;

    pub(crate) fn serialize<M: Message, S: Serializer>(
        message: &M,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        message.encode_to_vec().serialize(to)
    }

    pub(crate) fn deserialize<'de, M: Message + Default, D: Deserializer<'de>>(
        from: D,
    ) -> Result<M, D::Error> {
        let bytes = Vec::<u8>::deserialize(from)?;
        M::decode(bytes.as_slice()).map_err(D::Error::custom)
    }
}
