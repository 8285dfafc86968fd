//! One run: prepare, resolve what is in doubt, send, write the truth.

use crate::batch::{Bounds, ItemSource, fill};
use crate::error::ProduceError;
use crate::generate::{Generated, Item, Plan, PlanSpec, Shares, default_spacing_ns};
use crate::input::{self, Pace};
use crate::ledger::{Acked, Header, Ledger, Line, SourceHeader};
use crate::request::{
    GenerateOptions, InputFormat, InputOptions, ProduceRequest, ProduceSummary, Progress, Source, Waiting,
};
use crate::send::{BACKOFF, Marks, Sender, Target};
use crate::tail::read_tail;
use crate::truth;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::Instant;
use watertight_core::port::{Clock, ErrorKind, EventLog, PortError, TopicInfo};
use watertight_core::schema::ModelDef;
use watertight_core::steps::Steps;

/// Groups that are filled ahead of the one that is being sent.
const GROUPS_AHEAD: usize = 1;

/// Runs until the source ends, the count is reached, or `stop` is raised; everything that was appended is then
/// acknowledged and, where there is a ledger, in it.
///
/// # Errors
/// [`ProduceError`] says what the caller can do. After any of them the same request with the same ledger goes on
/// where this run ended, without losing or doubling a record.
pub fn run(
    request: ProduceRequest,
    log: &dyn EventLog,
    clock: &dyn Clock,
    stop: &AtomicBool,
    progress: &mut dyn FnMut(Progress),
) -> Result<ProduceSummary, ProduceError> {
    check(&request)?;
    let topic = topic_of(&request, log)?;
    let mut starts = Vec::new();
    for partition in 0..topic.partitions {
        starts.push(log.bounds(&topic.name, partition).map_err(ProduceError::Log)?.next);
    }
    let mut header = header_of(&request, &topic, starts, clock.now_us());
    if let Some(path) = &request.ledger {
        resume_options(path, &request, &mut header)?;
    }
    let plan = plan_of(&header)?;
    let models: Vec<_> = request.models.iter().filter(|model| model.from == request.stream.name).cloned().collect();
    if let (Some(plan), Source::Generate(_)) = (&plan, &request.source) {
        check_plan(&request, plan, &header, &models, clock)?;
    }
    let mut acked = Acked::default();
    let mut ledger = None;
    if let Some(path) = &request.ledger {
        let (opened, found, lines) = open_ledger(path, &header, &request.steps)?;
        header = found;
        (ledger, acked) = (Some(opened), lines);
    }
    let target = Target {
        log,
        clock,
        topic: &topic.name,
        producer: &request.producer,
        marks: if ledger.is_some() { Marks::Headers } else { Marks::Payloads },
        appends: request.batching.appends,
        stop,
    };
    let summary = ProduceSummary {
        in_ledger: acked.count(),
        per_partition: vec![0; header.partitions as usize],
        ..ProduceSummary::default()
    };
    let next_offsets = header.start_offsets.clone();
    let mut sender = Sender { target, next_offsets, ledger, acked, summary };
    match (&plan, &request.source) {
        (Some(plan), _) => {
            let mut item = Item::default();
            let mut id_of = |sequence, _: Option<&[u8]>| {
                plan.item(sequence, &mut item);
                String::from_utf8_lossy(&item.id).into_owned()
            };
            recover(&mut sender, &mut id_of, progress)?;
        }
        (None, Source::Input(options)) => {
            let mut id_of = input::id_reader(options, &request.stream, &request.producer)?;
            recover(&mut sender, &mut id_of, progress)?;
        }
        (None, Source::Generate(_)) => {}
    }
    send_all(&request, &header, plan.as_ref(), &mut sender, progress)?;
    let mut summary = sender.summary;
    summary.next_sequence = sender.acked.frontier();
    if let (Some(folder), Some(plan)) = (&request.truth, &plan) {
        let counts = truth::write(folder, plan, &header, summary.next_sequence, &models)?;
        summary.truth = Some(counts);
    }
    Ok(summary)
}

fn check(request: &ProduceRequest) -> Result<(), ProduceError> {
    let usage = |what: &str| Err(ProduceError::Usage(what.to_owned()));
    if request.rate.is_some_and(|rate| !(rate.is_finite() && rate > 0.0)) {
        return usage("the rate must be a number above 0");
    }
    if request.producer.is_empty() || request.producer.chars().any(char::is_control) {
        return usage("the producer needs a name without control characters");
    }
    let Source::Input(input) = &request.source else { return Ok(()) };
    if request.truth.is_some() {
        return usage("the truth is known for generated events only; leave out --truth or --input");
    }
    if request.rate.is_some() && input.speed.is_some() {
        return usage("give --rate or --speed, not both");
    }
    if input.speed.is_some_and(|speed| !(speed.is_finite() && speed > 0.0)) {
        return usage("the speed must be a number above 0");
    }
    if input.follow && input.format == InputFormat::Csv && request.ledger.is_some() {
        return usage("a followed CSV file cannot be resumed; leave out --ledger or --follow, or send JSON lines");
    }
    Ok(())
}

/// Opens the ledger, which must have been begun with the same options.
fn open_ledger(path: &Path, wanted: &Header, steps: &Steps) -> Result<(Ledger, Header, Acked), ProduceError> {
    let (ledger, found, acked) = Ledger::open(path, wanted, steps)?;
    let differences = found.differences(wanted);
    if !differences.is_empty() {
        let what = format!("was begun with other options: {}; use those, or another ledger", differences.join("; "));
        return Err(ProduceError::ledger(path, what));
    }
    Ok((ledger, found, acked))
}

/// Refuses a plan that would not give what is asked for.
fn check_plan(
    request: &ProduceRequest,
    plan: &Plan,
    header: &Header,
    models: &[ModelDef],
    clock: &dyn Clock,
) -> Result<(), ProduceError> {
    if plan.spec.start_time_us > clock.now_us() + request.stream.event_time.future_tolerance_us / 2 {
        return Err(ProduceError::Usage(
            "the start time lies in the future; events would be beyond the tolerance".into(),
        ));
    }
    if request.truth.is_some() { truth::check_knowable(plan, &header.start_offsets, models) } else { Ok(()) }
}

fn plan_of(header: &Header) -> Result<Option<Plan>, ProduceError> {
    match &header.source {
        SourceHeader::Generate(spec) => Ok(Some(Plan::new((**spec).clone())?)),
        SourceHeader::Input { .. } => Ok(None),
    }
}

/// The topic, made where there is none, and grown to the partitions that the stream declares.
fn topic_of(request: &ProduceRequest, log: &dyn EventLog) -> Result<TopicInfo, ProduceError> {
    let name = &request.stream.topic;
    match log.topic(name).map_err(ProduceError::Log)? {
        Some(topic) if topic.partitions >= request.stream.partitions => Ok(topic),
        _ => log.create_topic(name, request.stream.partitions).map_err(ProduceError::Log),
    }
}

/// The header that a run with these options begins a ledger with.
fn header_of(request: &ProduceRequest, topic: &TopicInfo, starts: Vec<i64>, now_us: i64) -> Header {
    let source = match &request.source {
        Source::Generate(options) => SourceHeader::Generate(Box::new(spec_of(request, options, topic, now_us))),
        Source::Input(InputOptions { from, format, .. }) => {
            SourceHeader::Input { name: input::name_of(from), format: input::format_name(*format).to_owned() }
        }
    };
    Header::new(&request.producer, &topic.name, &topic.incarnation, starts, source)
}

fn spec_of(request: &ProduceRequest, options: &GenerateOptions, topic: &TopicInfo, now_us: i64) -> PlanSpec {
    let mut spec = PlanSpec::for_stream(&request.stream, options.kind, &request.producer);
    spec.seed = options.seed;
    // To a millionth, so that what the ledger keeps as text reads back as the same number.
    let exact = |share: f64| (share * 1e6).round() / 1e6;
    let Shares { duplicates, late, malformed } = options.shares.unwrap_or(options.kind.default_shares());
    spec.shares = Shares { duplicates: exact(duplicates), late: exact(late), malformed: exact(malformed) };
    spec.uuid_ids = options.uuid_ids;
    spec.partitions = topic.partitions;
    spec.spacing_ns = match request.rate {
        Some(rate) => (1e9 / rate).round() as u64,
        None => default_spacing_ns(options.kind),
    };
    // Without a rate events come faster than they are said to happen: the last shall be now, not the first.
    let span_us = match (request.rate, options.count) {
        (None, Some(count)) => (u128::from(count) * u128::from(spec.spacing_ns) / 1_000) as i64 + 1_000_000,
        _ => 0,
    };
    spec.start_time_us = options.start_time_us.unwrap_or((now_us - span_us).div_euclid(1_000) * 1_000);
    spec
}

/// Takes over from an existing ledger what the request leaves open: the start time, where the topic stood, and the number
/// of partitions.
fn resume_options(path: &Path, request: &ProduceRequest, wanted: &mut Header) -> Result<(), ProduceError> {
    if !path.exists() {
        return Ok(());
    }
    let found = crate::ledger::read_header(path)?;
    let partitions = found.partitions;
    if wanted.start_offsets.len() < partitions as usize {
        return Err(ProduceError::ledger(path, "was begun on a topic with more partitions; begin a new ledger"));
    }
    (wanted.partitions, wanted.start_offsets) = (partitions, found.start_offsets.clone());
    let open_start = matches!(&request.source, Source::Generate(options) if options.start_time_us.is_none());
    if let (SourceHeader::Generate(old), SourceHeader::Generate(new)) = (&found.source, &mut wanted.source) {
        new.partitions = partitions;
        if open_start {
            new.start_time_us = old.start_time_us;
        }
    }
    Ok(())
}

/// Finds what an earlier run appended without coming to ledger it, waiting where the log cannot tell for now. `id_of`
/// tells the event id of a record by its number and payload.
fn recover(
    sender: &mut Sender<'_>,
    id_of: &mut dyn FnMut(u64, Option<&[u8]>) -> String,
    progress: &mut dyn FnMut(Progress),
) -> Result<(), ProduceError> {
    let began = Instant::now();
    for partition in 0..sender.next_offsets.len() as i32 {
        let mut backoff = BACKOFF.0;
        while let Err(error) = recover_partition(sender, partition, id_of) {
            if error.kind != ErrorKind::Retry {
                return Err(ProduceError::Log(error));
            }
            let why = Waiting::Log(error.chain());
            sender.rest(&mut backoff, &why, &mut |sender, why| progress(told(sender, began, Some(why))))?;
        }
    }
    sender.write_ledger(&mut |sender, why| progress(told(sender, began, Some(why))))
}

fn recover_partition(
    sender: &mut Sender<'_>,
    partition: i32,
    id_of: &mut dyn FnMut(u64, Option<&[u8]>) -> String,
) -> Result<(), PortError> {
    let Sender { target, next_offsets, ledger: Some(ledger), acked, summary } = sender else { return Ok(()) };
    let next = &mut next_offsets[partition as usize];
    let from = acked.next_offset(partition).unwrap_or(*next);
    *next = from;
    read_tail(target.log, target.topic, partition, from, |found| {
        let Some(sequence) = found.sequence_of(target.producer) else { return };
        *next = found.offset + 1;
        if acked.add(sequence, partition, found.offset, None) {
            let id = id_of(sequence, found.value);
            ledger.add(&Line { sequence, id: &id, partition, offset: found.offset, position: None });
            summary.recovered += 1;
        }
    })
}

/// How far the run is.
fn told(sender: &Sender<'_>, began: Instant, waiting: Option<&Waiting>) -> Progress {
    Progress {
        sent: sender.summary.sent,
        next_sequence: sender.acked.frontier(),
        elapsed: began.elapsed(),
        waiting: waiting.cloned(),
        passed_over: None,
    }
}

fn send_all(
    request: &ProduceRequest,
    header: &Header,
    plan: Option<&Plan>,
    sender: &mut Sender<'_>,
    progress: &mut dyn FnMut(Progress),
) -> Result<(), ProduceError> {
    let partitions = header.partitions.max(1) as usize;
    // The filler asks this copy, while the sender's own grows.
    let sent = sender.acked.clone();
    let (clock, stop) = (sender.target.clock, sender.target.stop);
    let (mut source, speed, ahead): (Box<dyn ItemSource>, _, _) = match (&request.source, plan) {
        (Source::Generate(options), Some(plan)) => {
            let ahead = request.stream.event_time.future_tolerance_us / 2;
            let end = options.count.unwrap_or(u64::MAX);
            (Box::new(Generated::new(plan, sent.frontier(), end)), None, Some((ahead, clock)))
        }
        (Source::Input(options), _) => {
            let source = input::open(options, &request.stream, &request.producer, header.partitions, &sent)?;
            (source, options.speed, None)
        }
        (Source::Generate(_), None) => return Ok(()),
    };
    let batching = request.batching;
    let records_max = batching.records_max.max(1) * partitions;
    let bounds = Bounds { partitions, records_max, bytes_max: batching.bytes_max, linger: batching.linger };
    let mut pace = Pace::new(request.rate, speed, ahead);
    let began = Instant::now();
    // Raised when sending fails, so that a filler that waits for its pace ends too.
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (out, groups) = sync_channel(GROUPS_AHEAD);
        let over = &over;
        let filler = scope.spawn(move || fill(source.as_mut(), &mut pace, &sent, bounds, &[stop, over], &out));
        // Also when this thread unwinds, or the scope would wait for the filler for ever.
        let _raised_at_end = RaiseAtEnd(over);
        for group in groups {
            let group = group?;
            sender.send(&group, &mut |sender, why| progress(told(sender, began, Some(why))))?;
            for what in group.passed_over {
                sender.summary.passed_over += 1;
                progress(Progress { passed_over: Some(what), ..told(sender, began, None) });
            }
            progress(told(sender, began, None));
        }
        filler.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Ok(())
    })
}

struct RaiseAtEnd<'a>(&'a AtomicBool);

impl Drop for RaiseAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod beside_others;
#[cfg(test)]
mod tests;
