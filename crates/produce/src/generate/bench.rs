//! The events of the benchmark: 350 ± 80 bytes, twelve types, a million users, both by Zipf.
//!
//! Contract: an event is a pure function of its number; `event_id` is a UUID's text. 2 % carry escapes and
//! characters beyond ASCII, 5 % lack an optional field, 1 % bear a field that nobody declared.

use super::draw::{Draw, WideZipf, zipf_weights};
use super::fields::{FieldKind, FieldSpec};
use super::text::{Object, push_integer};

pub(crate) const TYPES: [&str; 12] = [
    "page_view",
    "click",
    "search",
    "add_to_cart",
    "scroll",
    "checkout",
    "purchase",
    "login",
    "logout",
    "refund",
    "share",
    "review",
];
const COUNTRIES: [&str; 10] = ["US", "DE", "GB", "FR", "JP", "BR", "IN", "CA", "NL", "SE"];
const DEVICES: [&str; 5] = ["mobile", "desktop", "tablet", "tv", "kiosk"];
const CURRENCIES: [&str; 5] = ["USD", "EUR", "GBP", "JPY", "BRL"];
const PRODUCTS: [&str; 8] =
    ["trail shoe", "rain jacket", "wool sock", "head lamp", "tent peg", "camp stove", "water filter", "rope 60m"];
const ODD_PRODUCTS: [&str; 4] =
    [r#"8\" pan \\ lid"#, "caf\u{e9} M\u{fc}sli \u{1f375}", r"tab\there \u00e9\u4e16", "\u{6771}\u{4eac} \\\"set\\\""];
const PROPS: [&str; 8] = ["campaign", "referrer", "variant", "page", "slot", "coupon", "theme", "query"];
/// Fields that 5 % of events lack one of.
const OPTIONAL: [&str; 4] = ["country", "device", "currency", "product"];

pub(crate) const FIELDS: &[FieldSpec] = &[
    FieldSpec::text("event_id"),
    FieldSpec::text("type"),
    FieldSpec::text("user_id"),
    FieldSpec::text("session_id"),
    FieldSpec::time("ts"),
    FieldSpec::text("country"),
    FieldSpec::text("device"),
    FieldSpec::text("currency"),
    FieldSpec::number("amount", FieldKind::Decimal(2), 1, 50_000_000),
    FieldSpec::text("product"),
    FieldSpec::object("props"),
];

/// Tables made once per plan.
#[derive(Debug, Clone)]
pub(crate) struct Tables {
    types: Vec<u64>,
    users: WideZipf,
    /// The optional fields that the stream's definition does not require.
    droppable: Vec<&'static str>,
}

impl Tables {
    /// `required` says whether the stream requires a field.
    pub(crate) fn new(required: impl Fn(&str) -> bool) -> Self {
        let droppable = OPTIONAL.into_iter().filter(|name| !required(name)).collect();
        Self { types: zipf_weights(TYPES.len()), users: WideZipf::new(20), droppable }
    }
}

/// What an event says.
#[derive(Debug, Clone)]
pub(crate) struct Action {
    pub(crate) kind: u8,
    pub(crate) user: u32,
    /// Hundredths.
    pub(crate) amount_e2: i64,
    /// Everything that nothing is computed from.
    rest: Draw,
}

impl Action {
    /// The event numbered `index`; `wanted` accepts its key (asked only where a partition must be reached).
    pub(crate) fn new(seed: u64, index: u64, tables: &Tables, wanted: impl Fn(&[u8]) -> bool) -> Self {
        let mut draw = Draw::new(seed, index, 0x71);
        let kind = draw.weighted(&tables.types) as u8;
        let magnitude = draw.below(16);
        let amount_e2 = 1 + draw.below(1 << (6 + magnitude)) as i64;
        let rest = Draw::new(seed, index, 0x72);
        let mut user = 0;
        let mut key = Vec::new();
        for _ in 0..1_000 {
            user = tables.users.rank(&mut draw) as u32;
            key.clear();
            push_user(&mut key, user);
            if wanted(&key) {
                break;
            }
        }
        Self { kind, user, amount_e2, rest }
    }

    pub(crate) fn write(&self, id: &[u8], time_us: i64, tables: &Tables, mut object: Object<'_>) {
        let mut draw = self.rest.clone();
        let odd = draw.below(100) < 2;
        let unknown = draw.below(100) < 1;
        let lacks = (draw.below(100) < 5 && !tables.droppable.is_empty())
            .then(|| tables.droppable[draw.below(tables.droppable.len() as u64) as usize]);
        let optional = |object: &mut Object<'_>, name: &str, value: &str| {
            if lacks != Some(name) {
                object.text(name, value.as_bytes());
            }
        };
        object.text("event_id", id);
        object.text("type", TYPES[usize::from(self.kind)].as_bytes());
        let mut user = Vec::with_capacity(12);
        push_user(&mut user, self.user);
        object.text("user_id", &user);
        if let Some(out) = object.field("session_id") {
            out.extend_from_slice(b"\"s-");
            push_hex(out, draw.bits());
            out.push(b'"');
        }
        object.time("ts", time_us, false);
        optional(&mut object, "country", COUNTRIES[draw.below(10) as usize]);
        optional(&mut object, "device", DEVICES[draw.below(5) as usize]);
        optional(&mut object, "currency", CURRENCIES[draw.below(5) as usize]);
        object.decimal("amount", self.amount_e2, 2);
        let product = if odd { ODD_PRODUCTS[draw.below(4) as usize] } else { PRODUCTS[draw.below(8) as usize] };
        optional(&mut object, "product", product);
        if let Some(out) = object.field("props") {
            push_props(out, &mut draw);
        }
        if unknown {
            object.integer("experiment_bucket", draw.below(64) as i64);
        }
        object.end();
    }
}

/// Appends a user's name.
pub(crate) fn push_user(out: &mut Vec<u8>, user: u32) {
    out.push(b'u');
    push_integer(out, i64::from(user));
}

fn push_hex(out: &mut Vec<u8>, bits: u64) {
    out.extend(
        bits.to_be_bytes().into_iter().flat_map(|byte| {
            [b"0123456789abcdef"[usize::from(byte >> 4)], b"0123456789abcdef"[usize::from(byte & 15)]]
        }),
    );
}

/// A flat object of 40 to 200 bytes.
fn push_props(out: &mut Vec<u8>, draw: &mut Draw) {
    let start = out.len();
    // Short ones more often.
    let wanted = 40 + draw.below(150).min(draw.below(150)) as usize;
    let mut next = draw.below(8) as usize;
    out.push(b'{');
    for written in 0..PROPS.len() {
        out.extend_from_slice(if written == 0 { b"\"" } else { b",\"" });
        out.extend_from_slice(PROPS[next].as_bytes());
        out.extend_from_slice(b"\":\"");
        next = (next + 1) % PROPS.len();
        let bits = draw.bits();
        push_hex(out, bits);
        out.truncate(out.len() - (bits % 9) as usize);
        out.push(b'"');
        if out.len() - start + 1 >= wanted {
            break;
        }
    }
    out.push(b'}');
}
