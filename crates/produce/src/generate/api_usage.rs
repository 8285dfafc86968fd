//! Usage of a metered API: customers call endpoints; what is billed are requests and bytes.
//!
//! Contract: a call is a pure function of its number (and, in the warm-up, of the partition it must reach).

use super::draw::{Draw, zipf_weights};
use super::fields::{FieldKind, FieldSpec};
use super::text::{Object, push_integer};

const CUSTOMERS: usize = 500;
const ENDPOINTS: [(&str, &str); 12] = [
    ("GET", "/v1/quotes"),
    ("GET", "/v1/quotes/history"),
    ("POST", "/v1/orders"),
    ("GET", "/v1/orders"),
    ("DELETE", "/v1/orders/open"),
    ("GET", "/v1/accounts"),
    ("GET", "/v1/positions"),
    ("POST", "/v1/search"),
    ("GET", "/v1/reports"),
    ("POST", "/v1/webhooks"),
    ("PUT", "/v1/settings"),
    ("GET", "/v1/health"),
];
/// Status and its share in a thousand.
const STATUSES: [(u16, u64); 9] =
    [(200, 880), (201, 40), (204, 15), (304, 15), (400, 15), (404, 12), (429, 8), (500, 10), (503, 5)];

pub(crate) const FIELDS: &[FieldSpec] = &[
    FieldSpec::text("event_id"),
    FieldSpec::text("customer_id"),
    FieldSpec::text("endpoint"),
    FieldSpec::text("method"),
    FieldSpec::number("status", FieldKind::Integer, 200, 503),
    FieldSpec::number("bytes", FieldKind::Integer, 64, 8_000_000),
    FieldSpec::number("latency_ms", FieldKind::Integer, 1, 5_000),
    FieldSpec::time("ts"),
];

/// Tables made once per plan.
#[derive(Debug, Clone)]
pub(crate) struct Tables {
    customers: Vec<u64>,
    endpoints: Vec<u64>,
    statuses: Vec<u64>,
}

impl Tables {
    pub(crate) fn new() -> Self {
        let mut total = 0;
        let statuses = STATUSES.iter().map(|(_, share)| {
            total += share;
            total
        });
        Self {
            statuses: statuses.collect(),
            customers: zipf_weights(CUSTOMERS),
            endpoints: zipf_weights(ENDPOINTS.len()),
        }
    }
}

/// What a call says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) customer: u32,
    endpoint: u8,
    pub(crate) status: u16,
    pub(crate) bytes: i64,
    latency_ms: i64,
}

impl Call {
    /// The call numbered `index`; `wanted` accepts its key (asked only where a partition must be reached).
    pub(crate) fn new(seed: u64, index: u64, tables: &Tables, wanted: impl Fn(&[u8]) -> bool) -> Self {
        let mut draw = Draw::new(seed, index, 0x61);
        let endpoint = draw.weighted(&tables.endpoints) as u8;
        let status = STATUSES[draw.weighted(&tables.statuses)].0;
        // Sizes and latencies over several orders of magnitude, small ones more often.
        let magnitude = draw.below(17).min(draw.below(17));
        let bytes = 64 + draw.below(64 << magnitude) as i64;
        let magnitude = draw.below(11).min(draw.below(11));
        let latency_ms = 1 + draw.below(4 << magnitude) as i64;
        let mut customer = 0;
        let mut key = Vec::new();
        for _ in 0..1_000 {
            customer = draw.weighted(&tables.customers) as u32;
            key.clear();
            push_customer(&mut key, customer);
            if wanted(&key) {
                break;
            }
        }
        Self { customer, endpoint, status, bytes, latency_ms }
    }

    pub(crate) fn write(self, id: &[u8], time_us: i64, mut object: Object<'_>) {
        object.text("event_id", id);
        let mut customer = Vec::with_capacity(12);
        push_customer(&mut customer, self.customer);
        object.text("customer_id", &customer);
        let (method, endpoint) = ENDPOINTS[usize::from(self.endpoint)];
        object.text("endpoint", endpoint.as_bytes());
        object.text("method", method.as_bytes());
        object.integer("status", i64::from(self.status));
        object.integer("bytes", self.bytes);
        object.integer("latency_ms", self.latency_ms);
        object.time("ts", time_us, false);
        object.end();
    }
}

/// Appends a customer's name.
pub(crate) fn push_customer(out: &mut Vec<u8>, customer: u32) {
    out.extend_from_slice(b"cust-");
    push_integer(out, 1_000 + i64::from(customer));
}
