//! Randomness without state: every draw is a pure function of the seed, the item's number and a purpose.
//!
//! Source: the finaliser of Steele, Lea and Flood's SplitMix64. Integer arithmetic only, so that the same seed
//! gives the same bytes on every machine. Never reads entropy from outside.

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// A bijection of 64-bit integers whose output looks random.
#[must_use]
pub(crate) fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(GOLDEN);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A short stream of random numbers that belongs to one item and one purpose.
#[derive(Debug, Clone)]
pub(crate) struct Draw(u64);

impl Draw {
    /// The stream of item `index` for `purpose`.
    pub(crate) fn new(seed: u64, index: u64, purpose: u64) -> Self {
        Self(mix(seed ^ mix(index.wrapping_add(purpose.wrapping_mul(GOLDEN)))))
    }

    /// The next 64 bits.
    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mix(self.0)
    }

    /// A number in `0..bound`; 0 where `bound` is 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(bound)) >> 64) as u64
    }

    /// A number in `from..=to`.
    pub(crate) fn between(&mut self, from: i64, to: i64) -> i64 {
        from + self.below((to - from) as u64 + 1) as i64
    }

    /// An index into cumulated weights, whose last entry is the total.
    pub(crate) fn weighted(&mut self, cumulated: &[u64]) -> usize {
        let point = self.below(cumulated.last().copied().unwrap_or(0));
        cumulated.iter().position(|&upper| point < upper).unwrap_or(0)
    }
}

/// Cumulated weights of a Zipf distribution (exponent 1) over `n` ranks.
pub(crate) fn zipf_weights(n: usize) -> Vec<u64> {
    let mut total = 0;
    (1..=n as u64)
        .map(|rank| {
            total += 1_000_000_000 / rank;
            total
        })
        .collect()
}

/// Zipf (exponent 1) over the ranks `1..2^octaves`: an octave by its share of the harmonic sum, then a rank in it by
/// rejection (accepted at least every second time). Constant time, whatever the number of ranks.
#[derive(Debug, Clone)]
pub(crate) struct WideZipf {
    cumulated: Vec<u64>,
}

impl WideZipf {
    pub(crate) fn new(octaves: u32) -> Self {
        let mut total = 0;
        let cumulated = (0..octaves)
            .map(|octave| {
                let (from, to) = (1_u64 << octave, 1_u64 << (octave + 1));
                total += (from..to).map(|rank| 1_000_000_000_000 / rank).sum::<u64>();
                total
            })
            .collect();
        Self { cumulated }
    }

    pub(crate) fn rank(&self, draw: &mut Draw) -> u64 {
        let first = 1_u64 << draw.weighted(&self.cumulated);
        for _ in 0..64 {
            let rank = first + draw.below(first);
            if draw.below(rank) < first {
                return rank;
            }
        }
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rank_one_of_a_wide_zipf_comes_as_often_as_its_share_says() {
        let zipf = WideZipf::new(20);
        let mut draw = Draw::new(7, 0, 0);
        let hits = (0..200_000).filter(|_| zipf.rank(&mut draw) == 1).count();
        assert!((12_800..15_000).contains(&hits), "1/H(2^20) = 6.93 %, found {hits} of 200,000");
        let wide = (0..200_000).map(|_| zipf.rank(&mut draw)).max().unwrap_or(0);
        assert!(wide > 1_000_000 && wide < 1 << 20);
    }

    #[test]
    fn a_draw_is_the_same_for_the_same_item_and_another_for_the_next() {
        let first = |index| Draw::new(1, index, 2).bits();
        assert_eq!(first(5), first(5));
        assert_ne!(first(5), first(6));
    }
}
