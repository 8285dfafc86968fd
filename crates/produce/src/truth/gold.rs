//! Gold of the standard models: candles, usage per customer, activity per type. Sums are exact (integers and scaled
//! integers).
//!
//! Contract: every row of silver that is not late is folded once, into the window `[start, start + length)` that holds
//! its event time; windows are aligned to the epoch.

use crate::generate::{BENCH_TYPES, Body, Event, push_customer};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use watertight_core::schema::ModelDef;

/// What one row holds.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Sums {
    Candle { open: (i64, i64), close: (i64, i64), high: i64, low: i64, volume: i128, trades: u64 },
    Usage { requests: u64, errors: u64, bytes: i128 },
    Activity { events: u64, amount_e2: i128 },
}

/// The rows of one model.
#[derive(Debug, Clone)]
pub(crate) struct Gold {
    pub(crate) model: String,
    window_us: i64,
    rows: BTreeMap<(i64, String), Sums>,
}

impl Gold {
    pub(crate) fn new(model: &ModelDef) -> Self {
        Self { model: model.name.clone(), window_us: model.window_us.max(1), rows: BTreeMap::new() }
    }

    /// Folds one event.
    pub(crate) fn fold(&mut self, event: &Event) {
        let start = event.time_us.div_euclid(self.window_us) * self.window_us;
        let (group, one) = first(event);
        self.rows.entry((start, group)).and_modify(|sums| add(sums, &one)).or_insert(one);
    }

    /// The rows as JSON objects; `watermark_us` decides which are closed.
    pub(crate) fn rows(&self, watermark_us: Option<i64>) -> impl Iterator<Item = (bool, Value)> + '_ {
        self.rows.iter().map(move |((start, group), sums)| {
            let closed = watermark_us.is_some_and(|watermark| start + self.window_us <= watermark);
            let mut row = Map::new();
            let text = jiff::Timestamp::from_microsecond(*start).map(|time| time.to_string()).unwrap_or_default();
            row.insert("window_start".to_owned(), json!(text));
            row.insert("window_start_us".to_owned(), json!(start));
            describe(sums, group, &mut row);
            row.insert("closed".to_owned(), json!(closed));
            (closed, Value::Object(row))
        })
    }
}

fn first(event: &Event) -> (String, Sums) {
    match &event.body {
        Body::Stocks(tick) => {
            let (point, volume) = ((event.time_us, tick.price_e4), i128::from(tick.volume));
            let (high, low) = (tick.price_e4, tick.price_e4);
            (tick.name().to_owned(), Sums::Candle { open: point, close: point, high, low, volume, trades: 1 })
        }
        Body::ApiUsage(call) => {
            let mut customer = Vec::new();
            push_customer(&mut customer, call.customer);
            let errors = u64::from(call.status >= 500);
            let sums = Sums::Usage { requests: 1, errors, bytes: i128::from(call.bytes) };
            (String::from_utf8_lossy(&customer).into_owned(), sums)
        }
        Body::Bench(action) => {
            let sums = Sums::Activity { events: 1, amount_e2: i128::from(action.amount_e2) };
            (BENCH_TYPES[usize::from(action.kind)].to_owned(), sums)
        }
    }
}

fn add(sums: &mut Sums, one: &Sums) {
    match (sums, one) {
        (
            Sums::Candle { open, close, high, low, volume, trades },
            Sums::Candle { open: point, high: price, volume: more, .. },
        ) => {
            *open = (*open).min(*point);
            *close = (*close).max(*point);
            *high = (*high).max(*price);
            *low = (*low).min(*price);
            *volume += more;
            *trades += 1;
        }
        (Sums::Usage { requests, errors, bytes }, Sums::Usage { errors: failed, bytes: more, .. }) => {
            *requests += 1;
            *errors += failed;
            *bytes += more;
        }
        (Sums::Activity { events, amount_e2 }, Sums::Activity { amount_e2: more, .. }) => {
            *events += 1;
            *amount_e2 += more;
        }
        _ => {}
    }
}

/// `mantissa / 10^scale` as text.
fn decimal(mantissa: i128, scale: u32) -> String {
    let unit = 10_u128.pow(scale);
    let (sign, size) = (if mantissa < 0 { "-" } else { "" }, mantissa.unsigned_abs());
    format!("{sign}{}.{:0width$}", size / unit, size % unit, width = scale as usize)
}

fn describe(sums: &Sums, group: &str, row: &mut Map<String, Value>) {
    let mut put = |name: &str, value: Value| row.insert(name.to_owned(), value);
    match sums {
        Sums::Candle { open, close, high, low, volume, trades } => {
            put("symbol", json!(group));
            for (name, price) in [("open", open.1), ("high", *high), ("low", *low), ("close", close.1)] {
                put(name, json!(decimal(i128::from(price), 4)));
            }
            put("volume", json!(volume.to_string()));
            put("trades", json!(trades.to_string()));
        }
        Sums::Usage { requests, errors, bytes } => {
            put("customer_id", json!(group));
            put("requests", json!(requests.to_string()));
            put("errors", json!(errors.to_string()));
            put("bytes", json!(bytes.to_string()));
        }
        Sums::Activity { events, amount_e2 } => {
            put("type", json!(group));
            put("events", json!(events.to_string()));
            put("amount", json!(decimal(*amount_e2, 2)));
        }
    }
}
