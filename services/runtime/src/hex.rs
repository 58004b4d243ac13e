//! Bytes as hexadecimal digits.

/// The digits of some bytes, in lower case.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble & 15)]);
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(*byte)])
        .collect()
}

/// The bytes of exactly `2 * N` digits.
#[must_use]
pub fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; N];
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(bytes)
}

/// For `#[serde(with = …)]`: bytes of a known number as their digits.
pub(crate) mod digits {
    use std::borrow::Cow;

    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer, const N: usize>(
        bytes: &[u8; N],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        super::hex(bytes).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>, const N: usize>(
        deserializer: D,
    ) -> Result<[u8; N], D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        super::from_hex(&text)
            .ok_or_else(|| D::Error::custom(format_args!("must be {} hexadecimal digits", 2 * N)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_bytes_and_back() {
        assert_eq!(hex(&[0, 9, 0xaf, 0xff]), "0009afff");
        assert_eq!(from_hex("0009afFF"), Some([0, 9, 0xaf, 0xff]));
        for wrong in ["", "0009af", "0009afff00", "0009af+f", "0009afé"] {
            assert_eq!(from_hex::<4>(wrong), None, "{wrong}");
        }
    }
}
