mod again;
mod bounds;

use super::*;
use crate::batch::{Drawn, Pull};
use crate::fixtures::{column, stream};
use std::fs;
use std::path::Path;
use std::time::Duration;
use watertight_core::record::partition_for_key;
use watertight_core::schema::ColumnType;

fn options(path: &Path, format: InputFormat) -> InputOptions {
    InputOptions { from: InputFrom::Path(path.to_owned()), format, follow: false, speed: None, key: None, array: None }
}

fn trades() -> StreamDef {
    let columns = vec![
        column("symbol", ColumnType::String, true),
        column("price", ColumnType::Decimal { precision: 18, scale: 4 }, true),
        column("open", ColumnType::Boolean, false),
    ];
    stream("trades", columns, &[], 0)
}

fn source(options: &InputOptions) -> Box<dyn ItemSource> {
    open(options, &trades(), "p", 4, &Acked::default()).expect("opens")
}

/// All items up to the end, or to the first pause.
fn drain(source: &mut dyn ItemSource) -> Vec<Drawn> {
    let mut items = Vec::new();
    let mut drawn = Drawn::default();
    let mut pauses = 0;
    loop {
        match source.next(&mut drawn).expect("reads") {
            Pull::Item => items.push(drawn.clone()),
            Pull::PassedOver(what) => panic!("passed over: {what}"),
            Pull::Later if pauses < 3 => {
                pauses += 1;
                std::thread::sleep(Duration::from_millis(5));
            }
            Pull::Later | Pull::End => return items,
        }
    }
}

fn values(items: &[Drawn]) -> Vec<String> {
    items
        .iter()
        .map(|drawn| String::from_utf8_lossy(drawn.item.value.as_deref().expect("bytes")).into_owned())
        .collect()
}

#[test]
fn lines_are_sent_as_they_are_and_keyed_by_their_event_id() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("in");
    fs::write(
        &path,
        b"\xef\xbb\xbf{ \"event_id\" : \"a\" }\r\n\nnonsense\n{\"event_id\":7}\n{\"b\":1,\xff}\n{\"event_id\":\"z\"}",
    )
    .expect("written");
    let items = drain(source(&options(&path, InputFormat::JsonLines)).as_mut());
    let bytes: Vec<_> = items.iter().map(|drawn| drawn.item.value.clone().expect("bytes")).collect();
    assert_eq!(
        bytes,
        [
            &b"{ \"event_id\" : \"a\" }"[..],
            b"nonsense",
            b"{\"event_id\":7}",
            b"{\"b\":1,\xff}",
            b"{\"event_id\":\"z\"}"
        ]
    );
    let keys: Vec<_> = items.iter().map(|drawn| drawn.item.key.as_deref()).collect();
    assert_eq!(keys, [Some(&b"a"[..]), None, Some(b"7"), None, Some(b"z")]);
    assert_eq!(items[0].item.partition, partition_for_key(b"a", 4));
    assert_eq!(items[3].item.partition, 3, "without a key by its number");
    assert_eq!(items[1].item.id, b"p-1");
}

#[test]
fn csv_records_become_objects_by_the_declared_types() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("in.csv");
    let text = "event_id,symbol,price,open,note\na,\"A,\"\"x\"\"\",12.50,true,5\nb,\"two\nlines\",n/a,yes,\nc,C,007,,,more\nd\n";
    fs::write(&path, text).expect("written");
    let items = drain(source(&options(&path, InputFormat::Csv)).as_mut());
    assert_eq!(
        values(&items),
        [
            r#"{"event_id":"a","symbol":"A,\"x\"","price":12.50,"open":true,"note":"5"}"#,
            r#"{"event_id":"b","symbol":"two\nlines","price":"n/a","open":"yes","note":null}"#,
            r#"{"event_id":"c","symbol":"C","price":"007","open":null,"note":null,"column_6":"more"}"#,
            r#"{"event_id":"d"}"#,
        ]
    );
    assert_eq!(items[3].item.key.as_deref(), Some(&b"d"[..]));
}

#[test]
fn elements_of_an_array_are_found_at_the_top_or_in_a_member_whatever_the_layout() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("in.json");
    let elements =
        [r#"{"event_id":"a","x":[1,{"y":"]}"}]}"#, "{\"event_id\":\"b\",\n \"q\":\"\\\"}\"}", r#"{"event_id":"c"}"#];
    let members = format!(
        "{{ \"type\":\"F\", \"n\": 12, \"meta\":{{\"k\":[{{}}]}},\"box\":[1,2],\n\"features\" : [{},\n{} , {}],\"bbox\":[1]}}",
        elements[0], elements[1], elements[2]
    );
    let top = format!(" [{}]", elements.join(" ,\n"));
    for text in [&members, &top] {
        fs::write(&path, text).expect("written");
        let items = drain(source(&options(&path, InputFormat::JsonArray)).as_mut());
        assert_eq!(values(&items), elements);
    }
    fs::write(&path, &members).expect("written");
    let mut named = options(&path, InputFormat::JsonArray);
    named.array = Some("bbox".to_owned());
    assert_eq!(values(&drain(source(&named).as_mut())), ["1"]);
    for bad in ["", "12", "{\"a\":1}", "[{\"a\":1}", "[}", "{\"a\" 1}"] {
        fs::write(&path, bad).expect("written");
        let mut reading = source(&options(&path, InputFormat::JsonArray));
        let mut drawn = Drawn::default();
        let failed = (0..100).any(|_| reading.next(&mut drawn).is_err());
        assert!(failed, "{bad:?} is an error");
    }
}

#[test]
fn a_followed_file_is_read_on_through_growth_rotation_and_truncation() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("app.jsonl");
    let mut followed = options(&path, InputFormat::JsonLines);
    followed.follow = true;
    let mut reading = source(&followed);
    let append = |text: &str| {
        use std::io::Write;
        let mut file = fs::OpenOptions::new().create(true).append(true).open(&path).expect("opens");
        file.write_all(text.as_bytes()).expect("writes");
    };
    assert!(drain(reading.as_mut()).is_empty(), "the file may come later");
    append("one\ntw");
    assert_eq!(values(&drain(reading.as_mut())), ["one"], "a line without its end is waited for");
    append("o\nthree");
    assert_eq!(values(&drain(reading.as_mut())), ["two"]);
    fs::rename(&path, folder.path().join("app.jsonl.1")).expect("rotated");
    append("four\n");
    assert_eq!(values(&drain(reading.as_mut())), ["three", "four"]);
    fs::write(&path, "5\n").expect("truncated");
    assert_eq!(values(&drain(reading.as_mut())), ["5"]);
}

#[test]
fn a_followed_file_that_was_rotated_while_the_producer_was_down_is_finished_first() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("app.jsonl");
    let mut followed = options(&path, InputFormat::JsonLines);
    followed.follow = true;
    fs::write(&path, "one\ntwo\nthree\n").expect("written");
    let items = drain(source(&followed).as_mut());
    let mut sent = Acked::default();
    for drawn in &items[..2] {
        sent.add(drawn.item.sequence, 0, drawn.item.sequence as i64, drawn.position);
    }
    fs::rename(&path, folder.path().join("app.jsonl.1")).expect("rotated");
    fs::write(&path, "four\n").expect("written");
    let mut reading = open(&followed, &trades(), "p", 4, &sent).expect("opens");
    let items = drain(reading.as_mut());
    assert_eq!(values(&items), ["three", "four"]);
    assert_eq!(items[0].item.sequence, 2);
    fs::remove_file(folder.path().join("app.jsonl.1")).expect("removed");
    assert!(open(&followed, &trades(), "p", 4, &sent).is_err(), "what was between is lost, and that is said");
}

#[test]
fn the_pace_by_event_time_is_that_many_times_faster() {
    let mut pace = Pace::new(None, Some(100.0), None);
    assert_eq!(pace.wait(0, Some(5_000_000)), Duration::ZERO);
    let wait = pace.wait(1, Some(15_000_000));
    assert!(wait > Duration::from_millis(80) && wait <= Duration::from_millis(100), "{wait:?}");
    assert_eq!(pace.wait(2, Some(1_000_000)), Duration::ZERO, "what lies before the first is due at once");
    assert_eq!(pace.wait(3, None), Duration::ZERO);
}

#[test]
fn event_times_are_read_for_pacing_only_where_it_is_asked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("in");
    fs::write(&path, "{\"event_id\":\"a\",\"ts\":\"1970-01-01T00:00:01Z\"}\n").expect("written");
    let mut timed = options(&path, InputFormat::JsonLines);
    assert_eq!(drain(source(&timed).as_mut())[0].time_us, None);
    timed.speed = Some(2.0);
    assert_eq!(drain(source(&timed).as_mut())[0].time_us, Some(1_000_000));
}
