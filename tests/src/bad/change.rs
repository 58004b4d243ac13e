//! Changed inputs for the ordinary test: no coverage is measured, so the changes are those that break
//! decoders most often.

use super::NOBODY;

/// Numbers from a seed, the same on every machine.
#[derive(Debug)]
pub struct Changes(u64);

/// What formats give a meaning to.
const WORDS: [&[u8]; 22] = [
    b"\"",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\n",
    b"\r\n",
    b"\0",
    b"\xEF\xBB\xBF",
    b"\xFF\xFE",
    b"null",
    b"-1",
    b"1e999",
    b"9223372036854775808",
    b"\xF0\x9F\x98\x80",
    b"\xE3\x80\x80",
    b"PK\x03\x04",
    b"\x1F\x8B",
    b"<",
    b"\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01",
];

impl Changes {
    /// Changes of this seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number (SplitMix64).
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `limit`, 0 where there is none.
    pub fn below(&mut self, limit: usize) -> usize {
        match limit {
            0 => 0,
            limit => (self.number() % limit as u64) as usize,
        }
    }

    /// One of the inputs with a few changes.
    pub fn of(&mut self, inputs: &[Vec<u8>]) -> Vec<u8> {
        let mut input = match inputs.len() {
            0 => Vec::new(),
            several => inputs[self.below(several)].clone(),
        };
        for _ in 0..=self.below(4) {
            self.change(&mut input, inputs);
        }
        input
    }

    fn change(&mut self, input: &mut Vec<u8>, inputs: &[Vec<u8>]) {
        let at = self.below(input.len() + 1);
        let some = self.below(16).min(input.len() - at);
        match self.below(8) {
            0 => {
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= 1 << (self.number() % 8);
                }
            }
            1 => {
                if let Some(byte) = input.get_mut(at) {
                    *byte = self.number() as u8;
                }
            }
            2 => input.truncate(at),
            3 => drop(input.drain(at..at + some)),
            4 => {
                let again = input[at..at + some].to_vec();
                input.splice(at..at, again);
            }
            5 => {
                let word = WORDS[self.below(WORDS.len())];
                input.splice(at..at, word.iter().copied());
            }
            6 => {
                let word = NOBODY[self.below(NOBODY.len())];
                input.splice(at..at + some, word.bytes());
            }
            _ => {
                if !inputs.is_empty() {
                    let other = &inputs[self.below(inputs.len())];
                    let from = self.below(other.len());
                    let part = &other[from..(from + 64).min(other.len())];
                    input.splice(at..at + some, part.iter().copied());
                }
            }
        }
    }
}
