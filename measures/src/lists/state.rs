//! One hash for all that the lists know, by which two processes can tell that they know the same.

use sha2::{Digest, Sha256};

use super::Lists;

/// FENCE: processes of different versions compare these hashes; another way to count them needs
/// another word here.
const FORM: &[u8] = b"creditgate lists state 1";

impl Lists {
    /// A hash over the version, every entry and every confirmation. It does not depend on how much of
    /// it stands in the base and how much in the overlay. Reads every entry: about a second for a
    /// million.
    #[must_use]
    pub fn state_hash(&self) -> [u8; 32] {
        let mut entries = Sum::default();
        for body in self.bodies() {
            entries.add(Sha256::digest(body).into());
        }
        let mut state = Sha256::new()
            .chain_update(FORM)
            .chain_update(self.version.log_id.as_bytes())
            .chain_update(self.version.seq.to_be_bytes())
            .chain_update((self.len() as u64).to_be_bytes())
            .chain_update(entries.to_bytes());
        // In the order of their codes.
        for (list, at) in self.confirmations() {
            let code = list.as_str().as_bytes();
            state.update((code.len() as u64).to_be_bytes());
            state.update(code);
            state.update(at.micros().to_be_bytes());
        }
        state.finalize().into()
    }
}

/// A sum of hashes as numbers of 256 bits: the same in any order. Unlike with exclusive or, two of
/// the same do not cancel out.
#[derive(Debug, Default)]
struct Sum([u64; 4]);

impl Sum {
    fn add(&mut self, hash: [u8; 32]) {
        let mut carry = false;
        for (limb, bytes) in self.0.iter_mut().zip(hash.chunks_exact(8)) {
            let mut added = [0; 8];
            added.copy_from_slice(bytes);
            let (sum, over) = limb.overflowing_add(u64::from_le_bytes(added));
            let (sum, over_again) = sum.overflowing_add(u64::from(carry));
            *limb = sum;
            carry = over || over_again;
        }
    }

    fn to_bytes(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (place, limb) in bytes.chunks_exact_mut(8).zip(self.0) {
            place.copy_from_slice(&limb.to_le_bytes());
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_carries_and_has_no_order() {
        let (mut one, mut other) = (Sum::default(), Sum::default());
        let (a, b) = ([0xff; 32], [0x81; 32]);
        one.add(a);
        one.add(b);
        other.add(b);
        other.add(a);
        assert_eq!(one.to_bytes(), other.to_bytes());
        // All ones are minus one.
        let mut less_one = [0x81; 32];
        less_one[0] = 0x80;
        assert_eq!(one.to_bytes(), less_one);
    }
}
