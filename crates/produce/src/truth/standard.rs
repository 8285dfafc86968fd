//! The models whose rows the truth computes: those of the examples, and the benchmark's.
//!
//! Contract: a model is one of them where its SQL is the same but for comments, white space and case; its name and
//! its window are free. The texts stand here once more, so that a changed example is noticed and not believed.

use crate::generate::GeneratorKind;
use watertight_core::schema::ModelDef;

const CANDLES: &str = "\
SELECT window_start, window_end, symbol, \
first_value(price ORDER BY _event_time, _kafka_partition, _kafka_offset) AS open, \
max(price) AS high, min(price) AS low, \
last_value(price ORDER BY _event_time, _kafka_partition, _kafka_offset) AS close, \
sum(volume) AS volume, count(*) AS trades \
FROM {stream} GROUP BY window_start, window_end, symbol";

/// The median is a float that the truth leaves out; every other column is compared.
const USAGE: &str = "\
SELECT window_start, window_end, customer_id, \
count(*) AS requests, count(*) FILTER (WHERE status >= 500) AS errors, sum(bytes) AS bytes, \
median(latency_ms) AS median_latency_ms \
FROM {stream} GROUP BY window_start, window_end, customer_id";

const ACTIVITY: &str = "\
SELECT window_start, window_end, type, count(*) AS events, sum(amount) AS amount \
FROM {stream} GROUP BY window_start, window_end, type";

/// The SQL of the model that the truth computes for events of this kind, over `stream`.
pub(crate) fn standard_sql(kind: GeneratorKind, stream: &str) -> String {
    let text = match kind {
        GeneratorKind::Stocks => CANDLES,
        GeneratorKind::ApiUsage => USAGE,
        GeneratorKind::Bench => ACTIVITY,
    };
    text.replace("{stream}", stream)
}

/// Whether the truth computes this model's rows.
pub(super) fn is_standard(kind: GeneratorKind, model: &ModelDef) -> bool {
    plain(&model.sql) == plain(&standard_sql(kind, &model.from))
}

/// The words of a statement, without comments, space, a last semicolon and case. A text in quotes may come out wrong: the
/// standard statements have none.
fn plain(sql: &str) -> Vec<String> {
    let mut words = Vec::new();
    for line in sql.lines() {
        let line = line.split("--").next().unwrap_or_default();
        for word in line.split_whitespace() {
            let mut rest = word;
            while !rest.is_empty() {
                let is_name = |c: char| c.is_alphanumeric() || c == '_';
                let end = rest
                    .find(|c: char| !is_name(c))
                    .unwrap_or(rest.len())
                    .max(rest.chars().next().map_or(0, char::len_utf8));
                words.push(rest[..end].to_lowercase());
                rest = &rest[end..];
            }
        }
    }
    if words.last().is_some_and(|word| word == ";") {
        words.pop();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(from: &str, sql: &str) -> ModelDef {
        ModelDef { name: "m".to_owned(), from: from.to_owned(), window_us: 60_000_000, sql: sql.to_owned() }
    }

    #[test]
    fn the_models_of_the_examples_are_the_standard_ones() {
        let examples = [
            (GeneratorKind::Stocks, "stock_ticks", include_str!("../../../../examples/stocks/models/candles_1m.sql")),
            (GeneratorKind::Stocks, "stock_ticks", include_str!("../../../../examples/demo/models/candles_5s.sql")),
            (
                GeneratorKind::ApiUsage,
                "api_usage_events",
                include_str!("../../../../examples/api-usage/models/usage_hourly.sql"),
            ),
        ];
        for (kind, stream, sql) in examples {
            assert!(is_standard(kind, &model(stream, sql)), "{sql}");
            assert!(!is_standard(kind, &model("other", sql)), "it reads its own stream");
            assert!(
                is_standard(kind, &model(stream, &format!("{};\n", sql.to_uppercase().replace(", ", " ,\t")))),
                "{sql}"
            );
        }
    }

    #[test]
    fn any_other_statement_is_not() {
        let candles = standard_sql(GeneratorKind::Stocks, "ticks");
        for (old, new) in [
            ("sum(volume)", "sum(volume) + 1"),
            ("max(price)", "min(price)"),
            ("FROM ticks", "FROM ticks WHERE volume > 5"),
            (", symbol,", ", symbol, 'x' AS x,"),
            ("GROUP BY window_start", "GROUP BY window_start -- ,"),
        ] {
            let sql = candles.replacen(old, new, 1);
            assert_ne!(sql, candles, "{old}");
            assert!(!is_standard(GeneratorKind::Stocks, &model("ticks", &sql)), "{sql}");
        }
        assert!(!is_standard(GeneratorKind::Bench, &model("ticks", &candles)), "of another kind of events");
    }
}
