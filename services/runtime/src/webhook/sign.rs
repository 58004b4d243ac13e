//! Signatures of what is sent, and the secrets that make them.
//!
//! A secret lies in a file of its own and is read anew for every request, so that it can be changed
//! without a restart. It is never recorded, logged or shown.

use std::path::PathBuf;

use ring::hmac;

/// Shortest secret, in bytes.
const BYTES_MIN: usize = 16;
/// Longest secret, in bytes.
const BYTES_MAX: usize = 4_096;

/// The directory of the secrets.
#[derive(Debug, Clone)]
pub struct Secrets(pub Option<PathBuf>);

/// Why a secret is not there.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// No directory is configured.
    #[error("no directory of secrets is configured: set `webhooks.secrets_dir`")]
    NoDirectory,
    /// The id is no name of a file.
    #[error(
        "the id of a secret has 1 to 64 letters, digits, `.`, `_` or `-`, and does not begin with `.`"
    )]
    Id,
    /// The file cannot be read.
    #[error("the secret cannot be read from `webhooks.secrets_dir`: {0}")]
    Read(std::io::ErrorKind),
    /// The file does not hold a secret.
    #[error("the file of the secret must hold 16 to 4096 bytes")]
    Length,
}

impl Secrets {
    /// The key of a secret.
    ///
    /// # Errors
    /// When there is none.
    pub fn key(&self, id: &str) -> Result<hmac::Key, SecretError> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if !(1..=64).contains(&id.len()) || !id.bytes().all(fits) || id.starts_with('.') {
            return Err(SecretError::Id);
        }
        let dir = self.0.as_ref().ok_or(SecretError::NoDirectory)?;
        let read = |error: std::io::Error| SecretError::Read(error.kind());
        let length = std::fs::metadata(dir.join(id)).map_err(read)?.len();
        if length > BYTES_MAX as u64 {
            return Err(SecretError::Length);
        }
        let bytes = std::fs::read(dir.join(id)).map_err(read)?;
        let secret = bytes.trim_ascii();
        if secret.len() < BYTES_MIN {
            return Err(SecretError::Length);
        }
        Ok(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }
}

/// The header `creditgate-signature` of a body that is sent at a time, in seconds since 1970:
/// HMAC-SHA256 over `<seconds>.<body>`, so that neither can be changed, nor an old request pass for
/// a new one.
///
/// FENCED: receivers check it by the same rule; another one needs another name than `v1`.
pub fn signature(key: &hmac::Key, seconds: i64, body: &[u8]) -> String {
    let mut context = hmac::Context::with_key(key);
    context.update(seconds.to_string().as_bytes());
    context.update(b".");
    context.update(body);
    let tag = context.sign();
    let hex: String = tag
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("t={seconds},v1={hex}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The value is that of Python: `hmac.new(b"0123456789abcdef-secret",
    /// b"1780000000." + '[{"id":"1"}]'.encode(), "sha256").hexdigest()`.
    #[test]
    fn a_signature_is_what_others_compute() {
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"0123456789abcdef-secret");
        assert_eq!(
            signature(&key, 1_780_000_000, br#"[{"id":"1"}]"#),
            "t=1780000000,v1=3c306d4dc9386f22fc0166be5cf57bcb7b545fca276af470d89fb092707744de"
        );
    }

    #[test]
    fn a_secret_is_a_file_of_its_directory_and_long_enough() {
        let dir = tempfile::tempdir().expect("a directory");
        let secrets = Secrets(Some(dir.path().join("secrets")));
        std::fs::create_dir(dir.path().join("secrets")).expect("made");
        std::fs::write(dir.path().join("outside"), "0123456789abcdef").expect("written");
        std::fs::write(dir.path().join("secrets/good"), "0123456789abcdef\n").expect("written");
        std::fs::write(dir.path().join("secrets/short"), "0123456789abcde\n").expect("written");
        assert!(secrets.key("good").is_ok());
        assert!(matches!(secrets.key("short"), Err(SecretError::Length)));
        assert!(matches!(secrets.key("none"), Err(SecretError::Read(_))));
        for id in ["../outside", "..", ".hidden", "", "a/b"] {
            assert!(matches!(secrets.key(id), Err(SecretError::Id)), "{id}");
        }
        let unset = Secrets(None).key("good");
        assert!(matches!(unset, Err(SecretError::NoDirectory)));
    }
}
