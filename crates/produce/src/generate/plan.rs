//! The plan: which item is what, and its bytes.
//!
//! Contract: [`Plan::item`] is a pure function of the spec and the item's number. A duplicate is a byte-equal copy
//! of an earlier valid event that is itself no duplicate; it lands in another partition only where its original is
//! on time by construction in every partition, so that its late flag doesn't depend on which copy wins.

use super::bench::{self, Action};
use super::draw::{Draw, mix};
use super::fields::{Checks, FieldSpec, misfits};
use super::malformed::{Damage, Malformed, malformed_kinds};
use super::schedule::{Schedule, Timing};
use super::stocks::{self, Tick};
use super::text::{FieldFault, Object, push_integer, push_uuid};
use super::{GeneratorKind, PlanError, PlanSpec, api_usage};
use api_usage::Call;
use watertight_core::record::partition_for_key;
use watertight_core::schema::{ColumnType, EventIdRule, TimestampForm};

const PARTS: u64 = 1_000_000;
/// How far behind its original a duplicate comes, and for which share (of a thousand) of duplicates.
const REACHES: [(u64, i64); 3] = [(800, 10_000_000), (180, 600_000_000), (20, 86_400_000_000)];

/// What an item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// A valid event of its own.
    Original(Timing),
    /// A copy of the valid event `of`, perhaps under a key that leads to another partition.
    Copy { of: u64, elsewhere: bool },
    /// An event with the damage of this index.
    Malformed(usize),
}

/// A valid event before it is written.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) sequence: u64,
    pub(crate) time_us: i64,
    pub(crate) body: Body,
}

#[derive(Debug, Clone)]
pub(crate) enum Body {
    Stocks(Tick),
    ApiUsage(Call),
    Bench(Action),
}

/// One record to be sent. Buffers are reused from item to item.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) sequence: u64,
    pub(crate) partition: i32,
    pub(crate) id: Vec<u8>,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
}

#[derive(Debug, Clone)]
enum Tables {
    Stocks,
    ApiUsage(api_usage::Tables),
    Bench(bench::Tables),
}

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) spec: PlanSpec,
    pub(crate) schedule: Schedule,
    /// Checks whose outcome is not understood.
    pub(crate) unknown_checks: Vec<String>,
    malformed: Vec<Malformed>,
    malformed_weights: Vec<u64>,
    tables: Tables,
    /// Upper bounds in `PARTS`: malformed, duplicates, behind the watermark, disordered.
    bounds: [u64; 4],
    /// Items before this one are all normal.
    warm_up: u64,
    id_seed: u64,
}

impl Plan {
    /// Makes the plan.
    ///
    /// # Errors
    /// [`PlanError`] names everything in which the stream and the generator don't fit each other.
    pub(crate) fn new(spec: PlanSpec) -> Result<Self, PlanError> {
        let fields = fields_of(spec.kind);
        let reasons = objections(&spec, fields);
        if !reasons.is_empty() {
            return Err(PlanError { kind: spec.kind.name(), reasons });
        }
        let checks = Checks::read(fields, &spec.columns, &spec.checks);
        let (malformed, malformed_weights) = malformed_kinds(&spec, fields, &checks);
        let required = |name: &str| spec.columns.iter().any(|column| column.required && column.path == [name]);
        let tables = match spec.kind {
            GeneratorKind::Stocks => Tables::Stocks,
            GeneratorKind::ApiUsage => Tables::ApiUsage(api_usage::Tables::new()),
            GeneratorKind::Bench => Tables::Bench(bench::Tables::new(required)),
        };
        let unique_per_key = spec.kind == GeneratorKind::Stocks;
        let schedule = Schedule::new(spec.start_time_us, spec.spacing_ns, spec.watermark_delay_us, unique_per_key);
        let behind = if spec.kind == GeneratorKind::Bench { spec.shares.late / 30.0 } else { spec.shares.late / 1.5 };
        let parts = |share: f64| (share * PARTS as f64).round() as u64;
        let mut bounds = [parts(spec.shares.malformed), parts(spec.shares.duplicates), parts(behind), 0];
        bounds[3] = parts(spec.shares.late) - bounds[2].min(parts(spec.shares.late));
        for index in 1..4 {
            bounds[index] += bounds[index - 1];
        }
        let name_seed = spec.producer.bytes().fold(0, |hash, byte| mix(hash ^ u64::from(byte)));
        let id_seed = mix(spec.seed ^ name_seed);
        let warm_up = (32 * spec.partitions as u64).max(2 * stocks::SYMBOLS);
        let unknown_checks = checks.unknown;
        Ok(Self { spec, schedule, unknown_checks, malformed, malformed_weights, tables, bounds, warm_up, id_seed })
    }

    /// What item `index` is.
    pub(crate) fn role(&self, index: u64) -> Role {
        match self.class(index) {
            Class::Original(timing) => Role::Original(timing),
            Class::Malformed => {
                let mut draw = Draw::new(self.spec.seed, index, 2);
                Role::Malformed(draw.weighted(&self.malformed_weights))
            }
            Class::Copy => self.copy_role(index),
        }
    }

    fn class(&self, index: u64) -> Class {
        if index < self.warm_up {
            return Class::Original(Timing::Normal);
        }
        let point = Draw::new(self.spec.seed, index, 1).below(PARTS);
        match self.bounds.iter().position(|&bound| point < bound) {
            Some(0) => Class::Malformed,
            Some(1) => Class::Copy,
            Some(2) => Class::Original(Timing::Late),
            Some(3) if self.schedule.allows_disorder() => Class::Original(Timing::Disordered),
            _ => Class::Original(Timing::Normal),
        }
    }

    fn copy_role(&self, index: u64) -> Role {
        let mut draw = Draw::new(self.spec.seed, index, 3);
        let mut point = draw.below(1_000);
        let mut reach = 1;
        for (share, span_us) in REACHES {
            let items = self.schedule.items_in(span_us);
            if items <= index || reach == 1 {
                reach = items.clamp(1, index);
            }
            if point < share {
                break;
            }
            point -= share;
        }
        let back = 1 + draw.below(reach);
        let first = index - back.min(index);
        let found = (0..=first.min(64)).map(|step| first - step).find_map(|of| match self.class(of) {
            Class::Original(timing) => Some((of, timing)),
            _ => None,
        });
        let Some((of, timing)) = found else { return Role::Original(Timing::Normal) };
        let elsewhere = self.spec.partitions > 1
            && timing == Timing::Normal
            && draw.below(10) < 3
            && self.schedule.is_on_time_everywhere(self.time_us(of, timing), index);
        Role::Copy { of, elsewhere }
    }

    fn time_us(&self, index: u64, timing: Timing) -> i64 {
        self.schedule.time_us(index, timing, &mut Draw::new(self.spec.seed, index, 4))
    }

    /// The event that item `index` would be if nothing were done to it.
    pub(crate) fn event(&self, index: u64, timing: Timing) -> Event {
        let seed = self.spec.seed;
        let partitions = self.spec.partitions;
        // The first items reach every partition, so that each has a watermark before anything is planted.
        let forced = (index < 4 * partitions as u64).then(|| (index % partitions as u64) as i32);
        let wanted = |key: &[u8]| forced.is_none_or(|partition| partition_for_key(key, partitions) == partition);
        let body = match &self.tables {
            Tables::Stocks => Body::Stocks(Tick::new(seed, index)),
            Tables::ApiUsage(tables) => Body::ApiUsage(Call::new(seed, index, tables, wanted)),
            Tables::Bench(tables) => Body::Bench(Action::new(seed, index, tables, wanted)),
        };
        Event { sequence: index, time_us: self.time_us(index, timing), body }
    }

    /// The original event that item `index` carries, if it is valid.
    pub(crate) fn valid_event(&self, index: u64) -> Option<Event> {
        match self.role(index) {
            Role::Original(timing) => Some(self.event(index, timing)),
            Role::Copy { of, .. } => Some(self.original(of)),
            Role::Malformed(_) => None,
        }
    }

    fn original(&self, index: u64) -> Event {
        let timing = match self.class(index) {
            Class::Original(timing) => timing,
            Class::Copy | Class::Malformed => Timing::Normal,
        };
        self.event(index, timing)
    }

    /// The reasons that a malformed item's dead letter must give.
    pub(crate) fn reasons(&self, kind: usize) -> &[String] {
        &self.malformed[kind].reasons
    }

    /// The time that a malformed item shows, where it is a whole JSON object with a valid time.
    pub(crate) fn malformed_time_us(&self, index: u64, kind: usize) -> Option<i64> {
        let shown = match &self.malformed[kind].damage {
            Damage::Field(FieldFault::Omit(name)) => name != "ts",
            Damage::Field(FieldFault::Replace(..)) => true,
            _ => false,
        };
        shown.then(|| self.time_us(index, Timing::Normal))
    }

    /// Appends the id of event `sequence`.
    pub(crate) fn push_id(&self, out: &mut Vec<u8>, sequence: u64) {
        if self.spec.uuid_ids || self.spec.kind == GeneratorKind::Bench {
            push_uuid(out, self.id_seed, sequence);
        } else {
            out.extend_from_slice(self.spec.producer.as_bytes());
            out.push(b'-');
            push_integer(out, sequence as i64);
        }
    }

    /// The partition of item `index`.
    pub(crate) fn partition(&self, index: u64) -> i32 {
        let mut key = Vec::with_capacity(24);
        let (event, elsewhere) = match self.role(index) {
            Role::Original(timing) => (self.event(index, timing), false),
            Role::Copy { of, elsewhere } => (self.original(of), elsewhere),
            Role::Malformed(_) => (self.event(index, Timing::Normal), false),
        };
        self.push_key(&mut key, &event, elsewhere)
    }

    /// Appends an event's key and returns its partition; `elsewhere` makes it another one than the event's own.
    fn push_key(&self, key: &mut Vec<u8>, event: &Event, elsewhere: bool) -> i32 {
        match &event.body {
            Body::Stocks(tick) => key.extend_from_slice(tick.name().as_bytes()),
            Body::ApiUsage(call) => api_usage::push_customer(key, call.customer),
            Body::Bench(action) => bench::push_user(key, action.user),
        }
        let partitions = self.spec.partitions;
        let own = partition_for_key(key, partitions);
        if !elsewhere {
            return own;
        }
        let length = key.len();
        for suffix in 1..1_000 {
            key.truncate(length);
            key.push(b'~');
            push_integer(key, suffix);
            let other = partition_for_key(key, partitions);
            if other != own {
                return other;
            }
        }
        own
    }

    /// Writes item `index` into `item`.
    pub(crate) fn item(&self, index: u64, item: &mut Item) {
        let (event, elsewhere, malformed) = match self.role(index) {
            Role::Original(timing) => (self.event(index, timing), false, None),
            Role::Copy { of, elsewhere } => (self.original(of), elsewhere, None),
            Role::Malformed(kind) => (self.event(index, Timing::Normal), false, Some(&self.malformed[kind].damage)),
        };
        item.sequence = index;
        item.id.clear();
        self.push_id(&mut item.id, event.sequence);
        let key = item.key.get_or_insert_default();
        key.clear();
        item.partition = self.push_key(key, &event, elsewhere);
        let value = item.value.get_or_insert_default();
        value.clear();
        let fault = if let Some(Damage::Field(fault)) = malformed { Some(fault) } else { None };
        self.write(&event, &item.id, fault, value);
        match malformed {
            Some(Damage::Tombstone) => item.value = None,
            Some(Damage::Empty) => value.clear(),
            Some(Damage::NotAnObject) => {
                value.clear();
                value.extend_from_slice(b"[\"");
                value.extend_from_slice(&item.id);
                value.extend_from_slice(b"\"]");
            }
            Some(Damage::Truncated) => {
                let length = value.len() as i64;
                value.truncate(Draw::new(self.spec.seed, index, 5).between(1, length - 1) as usize);
            }
            // Inside the id, which comes first: {"event_id":"…
            Some(Damage::NotUtf8) => value[15] = 0xff,
            Some(Damage::Field(_)) | None => {}
        }
    }

    fn write(&self, event: &Event, id: &[u8], fault: Option<&FieldFault>, out: &mut Vec<u8>) {
        let object = Object::begin(out, fault);
        match (&event.body, &self.tables) {
            (Body::Stocks(tick), _) => tick.write(id, event.time_us, self.schedule.writes_micros(), object),
            (Body::ApiUsage(call), _) => call.write(id, event.time_us, object),
            (Body::Bench(action), Tables::Bench(tables)) => action.write(id, event.time_us, tables, object),
            (Body::Bench(_), _) => object.end(),
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Class {
    Original(Timing),
    Copy,
    Malformed,
}

fn fields_of(kind: GeneratorKind) -> &'static [FieldSpec] {
    match kind {
        GeneratorKind::Stocks => stocks::FIELDS,
        GeneratorKind::ApiUsage => api_usage::FIELDS,
        GeneratorKind::Bench => bench::FIELDS,
    }
}

fn objections(spec: &PlanSpec, fields: &[FieldSpec]) -> Vec<String> {
    let mut found = misfits(fields, &spec.columns);
    let column = |name: &str| spec.columns.iter().find(|column| column.name == name);
    match &spec.event_id {
        EventIdRule::Column(name) if column(name).is_some_and(|c| c.path == ["event_id"]) => {}
        _ => found.push("the stream's event id must be the column read from 'event_id'".to_owned()),
    }
    let time = column(&spec.event_time);
    if !time.is_some_and(|c| c.path == ["ts"] && c.kind == ColumnType::Timestamp(TimestampForm::Rfc3339)) {
        found.push("the stream's event time must be an RFC 3339 column read from 'ts'".to_owned());
    }
    let shares = [spec.shares.duplicates, spec.shares.late, spec.shares.malformed];
    if !shares.iter().all(|share| (0.0..=1.0).contains(share)) || shares.iter().sum::<f64>() > 0.9 {
        found.push("shares lie between 0 and 1, and together at most at 0.9".to_owned());
    }
    if spec.spacing_ns < 200 || spec.spacing_ns > 3_600_000_000_000 {
        found.push("the rate must lie between one event an hour and 5,000,000 a second".to_owned());
    }
    if spec.partitions < 1 || spec.watermark_delay_us < 0 {
        found.push("the stream needs at least one partition and a watermark that is not negative".to_owned());
    }
    if spec.producer.is_empty() || !spec.producer.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)) {
        found.push("the producer's name may have letters, digits, '.', '_' and '-' only".to_owned());
    }
    found
}
