//! Prints the decoder's cost in microseconds per event: `cargo run -p watertight-decode --example decode_bench [EVENTS]`.
//!
//! Events are shaped as `shared/BENCHMARK.md` describes them (about 350 bytes; 2 % escapes, 5 % missing optionals, 1 % unknown
//! fields), seeded, in batches of 50,000; each figure is the best of five passes, on one thread.

use std::fmt::Write as _;
use std::time::Instant;
use watertight_core::record::Records;
use watertight_core::schema::{
    Column, ColumnType, DuplicateKeys, EventIdRule, EventTimeRule, PayloadLimits, StartAt, StreamDef, TimestampForm,
};
use watertight_decode::Decoder;

const BATCH: usize = 50_000;

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    fn percent(&mut self, share: u64) -> bool {
        self.next() % 100 < share
    }
}

fn event(random: &mut Random, number: usize) -> String {
    let mut out = String::new();
    let (a, b) = (random.next(), random.next());
    let _ = write!(
        out,
        r#"{{"event_id":"{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}","type":"page_view_{}","user_id":"u-{:08}","session_id":"s-{:016x}""#,
        a & 0xffff_ffff,
        b & 0xffff,
        b >> 16 & 0xfff,
        b >> 28 & 0xfff,
        a ^ b,
        b % 12,
        a % 1_000_000,
        b
    );
    let _ = write!(
        out,
        r#","ts":"2026-11-{:02}T{:02}:{:02}:{:02}.{:03}Z""#,
        1 + number % 28,
        a % 24,
        b % 60,
        a % 59,
        b % 1000
    );
    if !random.percent(5) {
        let _ = write!(out, r#","country":"{}""#, ["DE", "FR", "US", "BR"][(a % 4) as usize]);
    }
    let device = if random.percent(2) { r#"caf\u00e9 \"tablet\""# } else { "mobile" };
    let _ = write!(
        out,
        r#","device":"{device}","currency":"EUR","amount":{}.{:02},"product":"product-{:05}","quantity":{}"#,
        a % 1000,
        b % 100,
        a % 99_999,
        b % 9
    );
    if random.percent(1) {
        out.push_str(r#","campaign":"autumn""#);
    }
    let _ = write!(
        out,
        r#","props":{{"page":"/shop/{}","referrer":"https://example.org/{}","flags":[1,2,3],"ab":true}}}}"#,
        a % 5000,
        "x".repeat((b % 60) as usize)
    );
    out
}

fn definition(props: Column) -> StreamDef {
    let column = |name: &str, kind: ColumnType| Column {
        name: name.to_owned(),
        kind,
        required: matches!(name, "event_id" | "ts"),
        path: vec![name.to_owned()],
    };
    let mut columns: Vec<Column> = ["event_id", "type", "user_id", "session_id"]
        .into_iter()
        .map(|name| column(name, ColumnType::String))
        .collect();
    columns.push(column("ts", ColumnType::Timestamp(TimestampForm::Rfc3339)));
    columns.extend(["country", "device", "currency"].into_iter().map(|name| column(name, ColumnType::String)));
    columns.push(column("amount", ColumnType::Decimal { precision: 18, scale: 4 }));
    columns.push(column("product", ColumnType::String));
    columns.push(column("quantity", ColumnType::Long));
    columns.push(props);
    StreamDef {
        name: "bench".to_owned(),
        topic: "bench".to_owned(),
        topics: None,
        partitions: 1,
        event_id: EventIdRule::Column("event_id".to_owned()),
        event_time: EventTimeRule {
            column: "ts".to_owned(),
            watermark_delay_us: 0,
            future_tolerance_us: 0,
            idle_after_us: 0,
            not_before_us: 0,
            not_after_us: i64::MAX,
        },
        columns,
        checks: Vec::new(),
        payload: PayloadLimits { bytes_max: 1 << 20, depth_max: 64, duplicate_keys: DuplicateKeys::Reject },
        start: StartAt::Earliest,
        fail_on_data_loss: true,
    }
}

fn main() {
    let events = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(4 * BATCH);
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let batches: Vec<Records> = (0..events.div_ceil(BATCH))
        .map(|batch| {
            let mut records = Records::default();
            for number in 0..BATCH.min(events - batch * BATCH) {
                let payload = event(&mut random, number);
                records.push((batch * BATCH + number) as i64, 0, 0, None, Some(payload.as_bytes()), None);
            }
            records
        })
        .collect();
    let bytes: usize = batches.iter().map(Records::byte_len).sum();
    println!("{events} events of {} bytes", bytes / events.max(1));
    let path = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect();
    let column =
        |name: &str, kind, keys: &[&str]| Column { name: name.to_owned(), kind, required: false, path: path(keys) };
    let page = || ("page".to_owned(), ColumnType::String);
    for (name, props) in [
        (
            "12 columns, one nested by path, rest of it to _extra",
            column("page", ColumnType::String, &["props", "page"]),
        ),
        (
            "12 columns, one a struct, rest of it to _extra",
            column("props", ColumnType::Struct(vec![page()]), &["props"]),
        ),
        ("12 columns, one absent, nested object to _extra", column("absent", ColumnType::Long, &["absent"])),
    ] {
        let mut decoder = Decoder::new(&definition(props)).expect("the definition is sound");
        let (mut best, mut accepted) = (f64::MAX, 0);
        for _ in 0..5 {
            let start = Instant::now();
            accepted = batches.iter().map(|records| decoder.decode(records).rows.len()).sum();
            best = best.min(start.elapsed().as_secs_f64());
        }
        println!("{:.3} µs per event, {accepted} accepted: {name}", best * 1e6 / events.max(1) as f64);
    }
}
