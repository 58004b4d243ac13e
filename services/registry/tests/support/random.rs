//! A small generator, so that a printed seed replays a whole test.

/// Xorshift: the same numbers on every machine. A seed of 0 gives nothing but 0.
pub struct Random(pub u64);

impl Random {
    /// A generator with the seed that `SEED` says, else with this one; prints it.
    #[expect(
        clippy::print_stdout,
        reason = "a seed that nobody sees replays nothing"
    )]
    pub fn seeded(otherwise: u64) -> Self {
        let given = std::env::var("SEED")
            .ok()
            .and_then(|seed| seed.parse().ok());
        let seed = given.unwrap_or(otherwise);
        println!("SEED={seed}");
        Self(seed)
    }

    /// A number less than `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }

    /// One of several.
    pub fn one_of<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        let at = self.below(of.len() as u64);
        &of[usize::try_from(at).expect("small")]
    }
}
