//! A book as one file.

use std::collections::BTreeSet;
use std::sync::Arc;

use creditgate_measures::book::{Book, SourceFile};
use creditgate_measures::time::Time;
use creditgate_proto::encode::{time_from_proto, time_to_proto};
use creditgate_proto::journal::v1::{BookFile, BookPack};
use creditgate_runtime::signing::SigningKey;
use prost::Message;

use super::keys::Signature;

/// The form that this version writes and reads.
const FORM: u32 = 1;

/// A pack that was opened: its files are those that it was packed with, whoever signed them.
#[derive(Debug, Clone)]
pub struct Pack {
    /// The files, by path.
    pub files: Vec<SourceFile>,
    /// SHA-256 of the files.
    pub content_hash: [u8; 32],
    /// The signature, not verified yet.
    pub signature: Option<Signature>,
    /// When it was packed, as whoever packed it says.
    pub packed_at: Option<Time>,
    /// The tool that packed it, likewise.
    pub packed_by: String,
}

/// Bytes that are no pack.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PackError {
    /// They say nothing.
    #[error("this is no pack of a book: make one with `creditgate measures pack`")]
    NotAPack,
    /// A later version wrote them.
    #[error("the pack has form {0}, and this version reads form {FORM}: use a later version")]
    OtherForm(u32),
    /// A path stands twice.
    #[error("the pack holds `{0}` twice: pack the book again")]
    Twice(String),
    /// The files are not those that were packed.
    #[error(
        "the files of the pack are not those that were packed (other content hash): take the pack again from where it was made"
    )]
    Changed,
}

/// Packs files, signed when there is a key. The same arguments give the same bytes.
#[must_use]
pub fn seal(
    files: &[SourceFile],
    key: Option<&SigningKey>,
    packed_at: Time,
    packed_by: &str,
) -> Vec<u8> {
    let mut files = files.to_vec();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let content_hash = Book::content_hash(&files);
    let signature = key.map(|key| Signature::of(&content_hash, key));
    let (key_id, signature) = signature.map_or_else(Default::default, |signature| {
        (signature.key_id.to_string(), signature.bytes)
    });
    BookPack {
        form: FORM,
        files: files
            .into_iter()
            .map(|SourceFile { path, text }| BookFile { path, text })
            .collect(),
        content_hash: content_hash.to_vec(),
        key_id,
        signature,
        packed_at: Some(time_to_proto(packed_at)),
        packed_by: packed_by.to_owned(),
    }
    .encode_to_vec()
}

/// Opens a pack.
///
/// # Errors
/// When it is none, or its files were changed.
pub fn open(bytes: &[u8]) -> Result<Pack, PackError> {
    let pack = BookPack::decode(bytes).map_err(|_| PackError::NotAPack)?;
    match pack.form {
        FORM => {}
        0 => return Err(PackError::NotAPack),
        other => return Err(PackError::OtherForm(other)),
    }
    let mut paths = BTreeSet::new();
    if let Some(twice) = pack.files.iter().find(|file| !paths.insert(&file.path)) {
        return Err(PackError::Twice(twice.path.clone()));
    }
    let files: Vec<_> = pack
        .files
        .into_iter()
        .map(|file| SourceFile::new(file.path, file.text))
        .collect();
    let content_hash = Book::content_hash(&files);
    if pack.content_hash != content_hash {
        return Err(PackError::Changed);
    }
    Ok(Pack {
        files,
        content_hash,
        signature: signature_of(&pack.key_id, pack.signature),
        packed_at: pack.packed_at.as_ref().and_then(time_from_proto),
        packed_by: pack.packed_by,
    })
}

/// A signature as messages carry it: an empty one is none.
pub(crate) fn signature_of(key_id: &str, bytes: Vec<u8>) -> Option<Signature> {
    (!bytes.is_empty()).then(|| Signature {
        key_id: Arc::from(key_id),
        bytes,
    })
}
