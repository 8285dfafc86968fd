//! What must become of a payload, computed from the tree without regard for speed.

use super::tree::{Tree, parse};
use crate::read::Value;
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD};
use watertight_core::schema::{ColumnType, DuplicateKeys, StreamDef, TimestampForm};

/// The expected outcome.
pub(crate) enum Expected {
    /// Rejected with exactly one of these codes.
    Broken(Vec<&'static str>),
    Rejected {
        reasons: Vec<String>,
        time: Option<i64>,
    },
    Accepted {
        cells: Vec<Value>,
        extra: Option<Tree>,
        time: i64,
    },
}

pub(crate) fn expect(def: &StreamDef, bytes: &[u8]) -> Expected {
    let depth_max = usize::from(def.payload.depth_max);
    if std::str::from_utf8(bytes).is_err() {
        return Expected::Broken(vec!["not_utf8"]);
    }
    if bytes.iter().all(|byte| b" \t\r\n".contains(byte)) {
        return Expected::Broken(vec!["empty"]);
    }
    let Some(tree) = parse(bytes) else {
        let opened = bytes.iter().filter(|byte| matches!(byte, b'{' | b'[')).count();
        // Which of two faults is met first is not the oracle's business.
        let mut codes = vec!["invalid_json"];
        codes.extend((opened > depth_max).then_some("too_deep"));
        return Expected::Broken(codes);
    };
    if tree.depth() > depth_max {
        return Expected::Broken(vec!["too_deep"]);
    }
    let Tree::Object(members) = &tree else { return Expected::Broken(vec!["not_an_object"]) };
    judge(def, members)
}

type Members = [(String, Tree)];

fn judge(def: &StreamDef, members: &Members) -> Expected {
    let rule = def.payload.duplicate_keys;
    let shape = shape(def);
    let mut repeated = Vec::new();
    find_repeated(rule, &shape, &Tree::Object(members.to_vec()), &mut repeated);
    if rule != DuplicateKeys::Reject {
        repeated.clear();
    }
    let mut reasons: Vec<String> = repeated.iter().map(|key| format!("duplicate_key:{key}")).collect();
    let (mut cells, mut time) = (Vec::new(), None);
    for column in &def.columns {
        let name = &column.name;
        let (is_id, is_time) = (name == "id", name == "ts");
        let mut flaws = Vec::new();
        let value = match at_path(rule, members, &column.path) {
            Ok(value) => convert(rule, &column.kind, value, &mut flaws),
            Err(()) => {
                flaws.push("type");
                Value::Null
            }
        };
        flaws.sort_unstable();
        flaws.dedup();
        match &value {
            _ if !flaws.is_empty() => reasons.extend(flaws.iter().map(|flaw| format!("{flaw}:{name}"))),
            Value::Null if is_id => reasons.push("missing_event_id".to_owned()),
            Value::Text(text) if is_id && text.is_empty() => reasons.push("missing_event_id".to_owned()),
            Value::Null if is_time => reasons.push("missing_event_time".to_owned()),
            Value::Null if column.required => reasons.push(format!("missing:{name}")),
            Value::Integer(us) if is_time => {
                let us = *us as i64;
                if us >= def.event_time.not_before_us && us < def.event_time.not_after_us {
                    time = Some(us);
                } else {
                    reasons.push("event_time_out_of_bounds".to_owned());
                }
            }
            _ => {}
        }
        cells.push(value);
    }
    if !repeated.is_empty() {
        time = None;
    }
    match (reasons.is_empty(), time) {
        (true, Some(time)) => {
            Expected::Accepted { cells, extra: left(rule, &shape, &Tree::Object(members.to_vec())), time }
        }
        _ => Expected::Rejected { reasons, time },
    }
}

/// The declared structure as if the payload were one struct: paths become structs around their columns.
fn shape(def: &StreamDef) -> ColumnType {
    fn add(fields: &mut Vec<(String, ColumnType)>, path: &[String], kind: &ColumnType) {
        if path.len() == 1 {
            fields.push((path[0].clone(), kind.clone()));
            return;
        }
        if !fields.iter().any(|(name, _)| *name == path[0]) {
            fields.push((path[0].clone(), ColumnType::Struct(Vec::new())));
        }
        if let Some((_, ColumnType::Struct(below))) = fields.iter_mut().find(|(name, _)| *name == path[0]) {
            add(below, &path[1..], kind);
        }
    }
    let mut fields = Vec::new();
    def.columns.iter().for_each(|column| add(&mut fields, &column.path, &column.kind));
    ColumnType::Struct(fields)
}

fn pick<'t>(rule: DuplicateKeys, members: &'t Members, key: &str) -> Option<&'t Tree> {
    let mut found = members.iter().filter(|(name, _)| name == key).map(|(_, value)| value);
    match rule {
        DuplicateKeys::Last => found.next_back(),
        _ => found.next(),
    }
}

fn at_path<'t>(rule: DuplicateKeys, members: &'t Members, path: &[String]) -> Result<&'t Tree, ()> {
    match (pick(rule, members, &path[0]), &path[1..]) {
        (None | Some(Tree::Null), _) => Ok(&Tree::Null),
        (Some(value), []) => Ok(value),
        (Some(Tree::Object(members)), rest) => at_path(rule, members, rest),
        _ => Err(()),
    }
}

fn find_repeated(rule: DuplicateKeys, kind: &ColumnType, tree: &Tree, out: &mut Vec<String>) {
    match (kind, tree) {
        (ColumnType::List(item), Tree::List(items)) => {
            items.iter().for_each(|value| find_repeated(rule, item, value, out));
        }
        (ColumnType::Struct(fields), Tree::Object(members)) => {
            for (index, (key, _)) in members.iter().enumerate() {
                if members[..index].iter().any(|(earlier, _)| earlier == key) && !out.contains(key) {
                    out.push(key.clone());
                }
            }
            for (name, kind) in fields {
                if let Some(value) = pick(rule, members, name) {
                    find_repeated(rule, kind, value, out);
                }
            }
        }
        _ => {}
    }
}

fn left(rule: DuplicateKeys, kind: &ColumnType, tree: &Tree) -> Option<Tree> {
    match (kind, tree) {
        (ColumnType::List(item), Tree::List(items)) => {
            let left: Vec<Option<Tree>> = items.iter().map(|value| left(rule, item, value)).collect();
            left.iter()
                .any(Option::is_some)
                .then(|| Tree::List(left.into_iter().map(|item| item.unwrap_or(Tree::Null)).collect()))
        }
        (ColumnType::Struct(fields), Tree::Object(members)) => {
            let mut kept: Vec<(String, Tree)> = Vec::new();
            for (key, _) in members {
                if fields.iter().any(|(name, _)| name == key) || kept.iter().any(|(name, _)| name == key) {
                    continue;
                }
                kept.push((key.clone(), pick(rule, members, key).expect("it is there").clone()));
            }
            for (name, kind) in fields {
                let below = pick(rule, members, name).and_then(|value| left(rule, kind, value));
                kept.extend(below.map(|value| (name.clone(), value)));
            }
            (!kept.is_empty()).then_some(Tree::Object(kept))
        }
        _ => None,
    }
}

fn convert(rule: DuplicateKeys, kind: &ColumnType, tree: &Tree, flaws: &mut Vec<&'static str>) -> Value {
    let result = match (kind, tree) {
        (_, Tree::Null) => Ok(Value::Null),
        (ColumnType::List(item), Tree::List(items)) => {
            Ok(Value::List(items.iter().map(|value| convert(rule, item, value, flaws)).collect()))
        }
        (ColumnType::Struct(fields), Tree::Object(members)) => Ok(Value::Struct(
            fields
                .iter()
                .map(|(name, kind)| convert(rule, kind, pick(rule, members, name).unwrap_or(&Tree::Null), flaws))
                .collect(),
        )),
        _ => plain(kind, tree),
    };
    result.unwrap_or_else(|flaw| {
        flaws.push(flaw);
        Value::Null
    })
}

fn plain(kind: &ColumnType, tree: &Tree) -> Result<Value, &'static str> {
    let limits = |value: i128, low: i64, high: i64| {
        if (i128::from(low)..=i128::from(high)).contains(&value) { Ok(Value::Integer(value)) } else { Err("range") }
    };
    match (kind, tree) {
        (ColumnType::String, Tree::Text(text)) => Ok(Value::Text(text.clone())),
        (ColumnType::Boolean, Tree::Boolean(value)) => Ok(Value::Boolean(*value)),
        (ColumnType::Int, Tree::Number(text)) => {
            whole(text, 0, |value| limits(value, i32::MIN.into(), i32::MAX.into()))
        }
        (ColumnType::Long, Tree::Number(text)) => whole(text, 0, |value| limits(value, i64::MIN, i64::MAX)),
        (ColumnType::Float, Tree::Number(text)) => match text.parse::<f32>() {
            Ok(value) if value.is_finite() => Ok(Value::Float(value.to_bits())),
            _ => Err("range"),
        },
        (ColumnType::Double, Tree::Number(text)) => match text.parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(Value::Double(value.to_bits())),
            _ => Err("range"),
        },
        (ColumnType::Decimal { precision, scale }, Tree::Number(text) | Tree::Text(text)) => {
            if !matches!(parse(text.as_bytes()), Some(Tree::Number(_))) || text.trim() != text {
                return Err("type");
            }
            let limit = 10_i128.pow((*precision).into());
            whole(
                text,
                (*scale).into(),
                |value| {
                    if value.abs() < limit { Ok(Value::Integer(value)) } else { Err("range") }
                },
            )
        }
        (ColumnType::Date, Tree::Text(text)) => {
            if !fits(text, "dddd-dd-dd") {
                return Err("type");
            }
            let day: jiff::civil::Date = text.parse().map_err(|_| "range")?;
            let epoch = jiff::civil::date(1970, 1, 1);
            let days = (day - epoch).get_days();
            if day.year() == 0 { Err("range") } else { Ok(Value::Integer(days.into())) }
        }
        (ColumnType::Timestamp(TimestampForm::Rfc3339), Tree::Text(text)) => rfc3339(text),
        (ColumnType::Timestamp(TimestampForm::EpochNanos), Tree::Number(text)) => {
            // Cut in whole nanoseconds below zero by way of the floor of the written-out digits.
            let (negative, integer, fraction) = written_out(text, -3);
            let value: i128 = integer.parse().map_err(|_| "range")?;
            let below = negative && fraction.bytes().any(|digit| digit != b'0');
            years(if negative { -value - i128::from(below) } else { value })
        }
        (ColumnType::Timestamp(form), Tree::Number(text)) if *form != TimestampForm::Rfc3339 => {
            let scale = if *form == TimestampForm::EpochSeconds { 6 } else { 0 };
            // Whether the instant is kept is asked after whether it is whole.
            let Value::Integer(us) = whole(text, scale, |value| limits(value, i64::MIN, i64::MAX))? else {
                return Err("type");
            };
            years(us)
        }
        (ColumnType::Binary, Tree::Text(text)) => {
            let bytes = BASE64_STANDARD.decode(text).or_else(|_| BASE64_STANDARD_NO_PAD.decode(text));
            bytes.map(Value::Bytes).map_err(|_| "type")
        }
        _ => Err("type"),
    }
}

/// Sign, digits before and digits after the point of `text × 10^scale`, without exponent.
fn written_out(text: &str, scale: i32) -> (bool, String, String) {
    let negative = text.starts_with('-');
    let lower = text.trim_start_matches('-').to_lowercase();
    let (mantissa, exponent) = lower.split_once('e').unwrap_or((&lower, "0"));
    let (integer, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let shift = exponent.parse::<i32>().expect("generated exponents are short") + scale;
    let (mut integer, mut fraction) = (integer.to_owned(), fraction.to_owned());
    for _ in 0..shift.max(0) {
        integer.push(if fraction.is_empty() { '0' } else { fraction.remove(0) });
    }
    for _ in 0..(-shift).max(0) {
        fraction.insert(0, integer.pop().unwrap_or('0'));
    }
    let integer = integer.trim_start_matches('0');
    (negative, if integer.is_empty() { "0".to_owned() } else { integer.to_owned() }, fraction)
}

fn whole(text: &str, scale: i32, check: impl Fn(i128) -> Result<Value, &'static str>) -> Result<Value, &'static str> {
    let (negative, integer, fraction) = written_out(text, scale);
    let value: i128 = integer.parse().map_err(|_| "range")?;
    let value = check(if negative { -value } else { value })?;
    if fraction.bytes().any(|digit| digit != b'0') { Err("precision") } else { Ok(value) }
}

fn years(us: i128) -> Result<Value, &'static str> {
    let from = since_epoch(jiff::civil::date(1, 1, 1).at(0, 0, 0, 0));
    let to = since_epoch(jiff::civil::date(9999, 12, 31).at(0, 0, 0, 0)) + 86_400_000_000;
    if (from..to).contains(&us) { Ok(Value::Integer(us)) } else { Err("range") }
}

/// Microseconds from 1970 to a civil time; jiff's own instants end a day before the year 9999 does.
fn since_epoch(civil: jiff::civil::DateTime) -> i128 {
    civil.duration_since(jiff::civil::date(1970, 1, 1).at(0, 0, 0, 0)).as_micros()
}

/// Whether `text` has this form; `d` stands for a digit.
fn fits(text: &str, form: &str) -> bool {
    text.len() == form.len()
        && std::iter::zip(text.bytes(), form.bytes())
            .all(|(byte, form)| if form == b'd' { byte.is_ascii_digit() } else { byte == form })
}

fn rfc3339(text: &str) -> Result<Value, &'static str> {
    let upper = text.to_ascii_uppercase();
    let (day, rest) = upper.split_at_checked(10).ok_or("type")?;
    let rest = rest.strip_prefix(['T', ' ']).ok_or("type")?;
    let (clock, rest) = rest.split_at_checked(8).ok_or("type")?;
    let zone_at = rest.find(['Z', '+', '-']).ok_or("type")?;
    let (fraction, zone) = rest.split_at(zone_at);
    let digits = fraction.strip_prefix('.').unwrap_or("0");
    if !fits(day, "dddd-dd-dd")
        || !fits(clock, "dd:dd:dd")
        || !(fraction.is_empty() || fraction.starts_with('.'))
        || digits.is_empty()
        || !digits.bytes().all(|byte| byte.is_ascii_digit())
        || !(zone == "Z" || fits(zone, "+dd:dd") || fits(zone, "-dd:dd"))
    {
        return Err("type");
    }
    if &clock[6..] == "60" {
        return Err("type");
    }
    if zone != "Z" && (&zone[1..3] > "23" || &zone[4..6] > "59") {
        return Err("range");
    }
    let civil: jiff::civil::Date = day.parse().map_err(|_| "range")?;
    if civil.year() == 0 {
        return Err("range");
    }
    let digits = &digits[..digits.len().min(6)];
    let civil: jiff::civil::DateTime = format!("{day}T{clock}.{digits}").parse().map_err(|_| "range")?;
    let minutes = |from: usize| zone[from..from + 2].parse::<i128>().expect("two digits");
    let offset = if zone == "Z" { 0 } else { (minutes(1) * 60 + minutes(4)) * 60_000_000 };
    let us = since_epoch(civil);
    years(if zone.starts_with('-') { us + offset } else { us - offset })
}
