//! Stock ticks: sixty symbols in rotation, each with a price that wanders as a random walk does.
//!
//! Contract: a tick is a pure function of its number. The price is a sum of interpolated noise over seven time
//! scales whose strengths grow with the square root of the scale, as a Brownian path's do, so that any tick can
//! be made without those before it.

use super::draw::Draw;
use super::fields::{FieldKind, FieldSpec};
use super::text::Object;

/// Number of symbols; the rotation's length.
pub(crate) const SYMBOLS: u64 = 60;

const NAMES: [&str; 60] = [
    "AAPL", "MSFT", "NVDA", "AMZN", "GOOG", "META", "TSLA", "AVGO", "ORCL", "AMD", "INTC", "CSCO", "ADBE", "CRM",
    "NFLX", "QCOM", "TXN", "IBM", "MU", "UBER", "JPM", "BAC", "WFC", "GS", "MS", "C", "V", "MA", "AXP", "BLK", "XOM",
    "CVX", "COP", "SLB", "JNJ", "PFE", "MRK", "ABBV", "LLY", "UNH", "WMT", "COST", "HD", "LOW", "TGT", "MCD", "SBUX",
    "NKE", "KO", "PEP", "PG", "BA", "CAT", "DE", "GE", "HON", "LMT", "UPS", "T", "VZ",
];
const EXCHANGES: [&str; 3] = ["XNAS", "XNYS", "ARCX"];

pub(crate) const FIELDS: &[FieldSpec] = &[
    FieldSpec::text("event_id"),
    FieldSpec::text("symbol"),
    FieldSpec::number("price", FieldKind::Decimal(4), 1, 100_000_000),
    FieldSpec::number("volume", FieldKind::Integer, 1, 10_000),
    FieldSpec::time("ts"),
    FieldSpec::text("exchange"),
];

/// What a tick says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tick {
    pub(crate) symbol: u8,
    /// Ten-thousandths.
    pub(crate) price_e4: i64,
    pub(crate) volume: i64,
}

impl Tick {
    pub(crate) fn new(seed: u64, index: u64) -> Self {
        let symbol = index % SYMBOLS;
        let mut draw = Draw::new(seed, index, 0x51);
        // Most trades are small, a few are large.
        let size = draw.below(4);
        let volume = 1 + draw.below([10, 100, 100, 10_000][size as usize]) as i64;
        Self { symbol: symbol as u8, price_e4: price(seed, symbol, index / SYMBOLS), volume }
    }

    pub(crate) fn name(self) -> &'static str {
        NAMES[usize::from(self.symbol)]
    }

    pub(crate) fn write(self, id: &[u8], time_us: i64, micros: bool, mut object: Object<'_>) {
        object.text("event_id", id);
        object.text("symbol", self.name().as_bytes());
        object.decimal("price", self.price_e4, 4);
        object.integer("volume", self.volume);
        object.time("ts", time_us, micros);
        object.text("exchange", EXCHANGES[usize::from(self.symbol) % 3].as_bytes());
        object.end();
    }
}

/// The price of `symbol` at its `step`-th tick, ten-thousandths; stays within 30–170 % of the symbol's level.
fn price(seed: u64, symbol: u64, step: u64) -> i64 {
    let base = 100_000 + Draw::new(seed, symbol, 0x52).below(4_900_000) as i64;
    let mut deviation_ppm = 0;
    // Strength in ppm of the level: the square root of the period, scaled so that all seven stay below 70 %.
    for (shift, strength) in
        [(18, 350_000), (16, 175_000), (14, 87_000), (11, 31_000), (8, 11_000), (4, 2_700), (0, 700)]
    {
        let at = |lattice: u64| Draw::new(seed, lattice, 0x1000 + symbol * 32 + shift).between(-strength, strength);
        let lattice = step >> shift;
        let fraction = (step & ((1 << shift) - 1)) as i64;
        let (left, right) = (at(lattice), at(lattice + 1));
        deviation_ppm += left + (((right - left) * fraction) >> shift);
    }
    (base + base * deviation_ppm / 1_000_000).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_wander_but_do_not_jump() {
        let (mut low, mut high) = (i64::MAX, 0);
        for step in 0..20_000 {
            let (here, next) = (price(3, 5, step), price(3, 5, step + 1));
            assert!((here - next).abs() * 100 < here, "less than one per cent from tick to tick");
            (low, high) = (low.min(here), high.max(here));
        }
        assert!(low > 0 && (high - low) * 20 > low, "more than five per cent over 20,000 ticks");
    }
}
