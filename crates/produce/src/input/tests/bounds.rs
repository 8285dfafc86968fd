//! What is longer than the bound: never held, never cut, told.

use super::*;

/// Texts of the items, and what was passed over, up to the end, a pause or an error.
fn read_all(options: &InputOptions) -> (Vec<String>, Vec<String>, Option<String>) {
    let mut source = source(options);
    let (mut items, mut passed) = (Vec::new(), Vec::new());
    let mut drawn = Drawn::default();
    loop {
        match source.next(&mut drawn) {
            Ok(Pull::Item) => items.push(drawn.clone()),
            Ok(Pull::PassedOver(what)) => passed.push(what),
            Ok(Pull::Later | Pull::End) => return (values(&items), passed, None),
            Err(error) => return (values(&items), passed, Some(error.to_string())),
        }
    }
}

#[test]
fn a_line_beyond_the_bound_stops_a_file_and_is_passed_over_in_one_that_is_followed() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("in");
    for more in [1, 3 << 20] {
        let mut bytes = b"one\n".to_vec();
        bytes.resize(bytes.len() + LINE_BYTES_MAX + more, b'x');
        bytes.extend_from_slice(b"\nthree\n");
        fs::write(&path, &bytes).expect("written");
        let mut options = options(&path, InputFormat::JsonLines);
        let (items, passed, error) = read_all(&options);
        assert_eq!((items, passed.len()), (vec!["one".to_owned()], 0));
        let error = error.expect("an error");
        assert!(error.contains("line 2, at byte 4,") && error.contains("16 MiB"), "{error}");
        options.follow = true;
        let (items, passed, error) = read_all(&options);
        assert_eq!((items, passed.len(), error), (vec!["one".to_owned(), "three".to_owned()], 1, None));
        assert!(passed[0].contains("line 2, at byte 4,"), "{}", passed[0]);
    }
}

#[test]
fn a_line_as_long_as_the_bound_is_sent() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("in");
    let mut bytes = vec![b'x'; LINE_BYTES_MAX];
    bytes.push(b'\n');
    fs::write(&path, &bytes).expect("written");
    let (items, passed, error) = read_all(&options(&path, InputFormat::JsonLines));
    assert_eq!((items.len(), items[0].len(), passed.len(), error), (1, LINE_BYTES_MAX, 0, None));
}

#[test]
fn an_input_without_an_end_is_an_error_in_every_format_and_not_a_full_memory() {
    let (_, _, error) = read_all(&options(Path::new("/dev/zero"), InputFormat::JsonLines));
    assert!(error.expect("lines").contains("line 1, at byte 0,"));
    let (_, _, error) = read_all(&options(Path::new("/dev/zero"), InputFormat::Csv));
    assert!(error.expect("csv").contains("the record that begins in line 1, at byte 0"));
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("in");
    let mut bytes = b"[{\"event_id\":\"a\"},{\"x\":\"".to_vec();
    bytes.resize(bytes.len() + LINE_BYTES_MAX, b'y');
    bytes.extend_from_slice(b"\"}]");
    fs::write(&path, &bytes).expect("written");
    let (items, _, error) = read_all(&options(&path, InputFormat::JsonArray));
    assert_eq!(items.len(), 1);
    assert!(error.expect("array").contains("the value at byte 18 "));
}

#[test]
fn a_csv_record_beyond_the_bound_is_passed_over_in_a_followed_file_and_the_next_is_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("in.csv");
    let mut bytes = b"event_id,note\na,\"".to_vec();
    bytes.resize(bytes.len() + LINE_BYTES_MAX + 1_000_000, b'\n');
    bytes.extend_from_slice(b"\"\nb,\"c\nd\"\n");
    fs::write(&path, &bytes).expect("written");
    let mut options = options(&path, InputFormat::Csv);
    let (items, _, error) = read_all(&options);
    assert!(items.is_empty() && error.expect("an error").contains("line 2, at byte 14 "));
    options.follow = true;
    let (items, passed, error) = read_all(&options);
    assert_eq!((items, passed.len(), error), (vec![r#"{"event_id":"b","note":"c\nd"}"#.to_owned()], 1, None));
}

#[test]
fn a_stray_quote_costs_no_row_and_one_that_stays_open_is_named_with_its_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("in.csv");
    let options = options(&path, InputFormat::Csv);
    fs::write(&path, "event_id,note\na,5\" pipe\nb,\nc,say \"x\" twice\nd,6\"\n").expect("written");
    let (items, _, error) = read_all(&options);
    let wanted = [
        r#"{"event_id":"a","note":"5\" pipe"}"#,
        r#"{"event_id":"b","note":null}"#,
        r#"{"event_id":"c","note":"say \"x\" twice"}"#,
        r#"{"event_id":"d","note":"6\""}"#,
    ];
    assert_eq!((items, error), (wanted.map(str::to_owned).to_vec(), None));
    fs::write(&path, "event_id,note\na,x\nb,\"never closed\nc,y\n").expect("written");
    let (items, _, error) = read_all(&options);
    assert_eq!(items.len(), 1, "what stands before it is sent");
    assert!(error.expect("an error").contains("a quote in line 3 that is never closed"));
}

#[test]
fn a_byte_order_mark_is_no_part_of_the_header() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("in.csv");
    fs::write(&path, "\u{feff}event_id\r\na\r\n").expect("written");
    assert_eq!(read_all(&options(&path, InputFormat::Csv)).0, [r#"{"event_id":"a"}"#]);
}
