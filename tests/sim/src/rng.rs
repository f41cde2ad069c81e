//! Randomness from one seed (splitmix64): small, and the same on every machine.

use model::id::Seed;
use model::time::GoDuration;

/// A generator of pseudo-random numbers.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// Equal seeds give equal numbers.
    pub fn new(seed: u64) -> Rng {
        Rng(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ 0x0123_4567_89ab_cdef)
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// A number below `bound`; 0 for a bound of 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next_u64() % bound.max(1)
    }

    /// A position in a list of `len` items.
    pub fn position(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).unwrap_or(0)
    }

    /// True `percent` times of a hundred.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// A span from `least` to `most` milliseconds, to the microsecond.
    pub fn span(&mut self, least: i64, most: i64) -> GoDuration {
        let micros = self.below(((most - least).max(0) as u64) * 1000 + 1);
        GoDuration(least * 1_000_000 + (micros as i64) * 1000)
    }

    /// A seed for a command or a plan.
    pub fn seed(&mut self) -> Seed {
        Seed(u128::from(self.next_u64()) << 64 | u128::from(self.next_u64()))
    }
}
