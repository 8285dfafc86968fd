//! Resuming: a file is read on only where it is the one that was read.

use super::*;

/// What was sent of an input, all of it acknowledged.
fn sent_of(items: &[Drawn]) -> Acked {
    let mut sent = Acked::default();
    for drawn in items {
        sent.add(drawn.item.sequence, 0, drawn.item.sequence as i64, drawn.position);
    }
    sent
}

fn again(options: &InputOptions, sent: &Acked) -> Result<Box<dyn ItemSource>, String> {
    open(options, &trades(), "p", 4, sent).map_err(|error| error.to_string())
}

fn refused(options: &InputOptions, sent: &Acked) -> String {
    match again(options, sent) {
        Ok(_) => panic!("{:?} is read on", options.from),
        Err(error) => error,
    }
}

#[test]
fn a_file_that_was_written_anew_under_its_inode_is_refused_in_every_format() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("in");
    let texts = [
        (InputFormat::JsonLines, "{\"event_id\":\"a\"}\n{\"event_id\":\"b\"}\n", "{\"event_id\":\"c\"}\n"),
        (InputFormat::Csv, "event_id,symbol\na,A\nb,B\n", "c,C\n"),
        (InputFormat::JsonArray, "[{\"event_id\":\"a\"},\n{\"event_id\":\"b\"}", ",\n{\"event_id\":\"c\"}]"),
    ];
    for (format, text, more) in texts {
        let options = options(&path, format);
        let end = if format == InputFormat::JsonArray { "]" } else { "" };
        fs::write(&path, format!("{text}{end}")).expect("written");
        let sent = sent_of(&drain(source(&options).as_mut()));
        assert_eq!(sent.count(), 2);
        fs::write(&path, format!("{text}{more}")).expect("written");
        let behind = drain(again(&options, &sent).expect("it has grown").as_mut());
        let new: Vec<_> = behind.iter().filter(|drawn| !sent.contains(drawn.item.sequence)).collect();
        assert_eq!((new.len(), new[0].item.id.as_slice()), (1, &b"c"[..]), "{format:?}");
        let other = text.replace("\"b\"", "\"x\"").replace("b,B", "x,X");
        for anew in
            [text[..text.len() / 2].to_owned(), other.clone(), format!("{other}{more}"), format!("{more}{text}{more}")]
        {
            fs::write(&path, &anew).expect("written");
            let error = refused(&options, &sent);
            assert!(error.contains("written anew") && error.contains("begin a new ledger"), "{anew:?}: {error}");
            assert!(error.contains(&path.display().to_string()), "{error}");
        }
    }
}

#[test]
fn a_ledger_without_checksums_still_does_not_begin_within_a_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("in");
    let options = options(&path, InputFormat::JsonLines);
    fs::write(&path, "one\ntwo\n").expect("written");
    let mut items = drain(source(&options).as_mut());
    items.iter_mut().flat_map(|drawn| &mut drawn.position).for_each(|place| place.check = None);
    let sent = sent_of(&items);
    fs::write(&path, "one\ntwo\nthree\n").expect("written");
    assert_eq!(values(&drain(again(&options, &sent).expect("reads on").as_mut())), ["three"]);
    fs::write(&path, "a longer line than before\n").expect("written");
    assert!(refused(&options, &sent).contains("within a line"));
    fs::write(&path, "one\n").expect("written");
    assert!(refused(&options, &sent).contains("has 4 bytes, but 8 were read"));
}

#[test]
fn a_last_line_that_was_sent_without_its_end_and_goes_on_now_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("in");
    let options = options(&path, InputFormat::JsonLines);
    fs::write(&path, "one\ntw").expect("written");
    let sent = sent_of(&drain(source(&options).as_mut()));
    fs::write(&path, "one\ntw\nthree\n").expect("written");
    assert_eq!(values(&drain(again(&options, &sent).expect("its end came").as_mut())), ["three"]);
    fs::write(&path, "one\ntwo\nthree\n").expect("written");
    assert!(refused(&options, &sent).contains("within a line at byte 6"));
}

#[test]
fn a_copy_under_the_name_is_read_on_and_another_file_is_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("in");
    let options = options(&path, InputFormat::JsonLines);
    fs::write(&path, "one\ntwo\n").expect("written");
    let sent = sent_of(&drain(source(&options).as_mut()));
    // Held, so that its inode is not given to the copy.
    let held = fs::File::open(&path).expect("opens");
    fs::remove_file(&path).expect("removed");
    fs::write(&path, "one\ntwo\nthree\n").expect("written");
    assert_eq!(values(&drain(again(&options, &sent).expect("the same beginning").as_mut())), ["three"]);
    fs::write(&path, "uno\ndos\ntres\n").expect("written");
    assert!(refused(&options, &sent).contains("holds other bytes before byte 8"));
    drop(held);
}

#[test]
fn files_that_were_rotated_while_the_producer_was_down_are_all_read_in_order() {
    for (names, follow) in [
        (["app.jsonl.3", "app.jsonl.2", "app.jsonl.1"], true),
        (["app.jsonl.3", "app.jsonl.2", "app.jsonl.1"], false),
        (["app.jsonl-20260301", "app.jsonl-20260302", "app.jsonl-20260303"], true),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("app.jsonl");
        let mut options = options(&path, InputFormat::JsonLines);
        options.follow = follow;
        fs::write(&path, "1\n").expect("written");
        let sent = sent_of(&drain(source(&options).as_mut()));
        let mut file = fs::OpenOptions::new().append(true).open(&path).expect("opens");
        std::io::Write::write_all(&mut file, b"2\n3").expect("written");
        fs::rename(&path, folder.path().join(names[0])).expect("rotated");
        fs::write(folder.path().join(names[1]), "4\n").expect("written");
        fs::write(folder.path().join(names[2]), "5\n").expect("written");
        fs::write(&path, "6\n").expect("written");
        fs::write(folder.path().join("app.jsonl.ledger"), "no input\n").expect("written");
        fs::write(folder.path().join("app.jsonl.9"), "older\n").expect("written");
        let mut reading = again(&options, &sent).expect("opens");
        assert_eq!(values(&drain(reading.as_mut())), ["2", "3", "4", "5", "6"], "{names:?}");
    }
}

#[test]
fn a_rotated_file_between_that_is_packed_or_gone_is_named_and_not_passed_over() {
    for (between, said) in
        [(Some("app.jsonl.1.gz"), "app.jsonl.1.gz, which comes next, is packed"), (None, "app.jsonl.1 is missing")]
    {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("app.jsonl");
        let mut options = options(&path, InputFormat::JsonLines);
        options.follow = true;
        fs::write(&path, "1\n").expect("written");
        let sent = sent_of(&drain(source(&options).as_mut()));
        fs::rename(&path, folder.path().join("app.jsonl.2")).expect("rotated");
        if let Some(name) = between {
            fs::write(folder.path().join(name), "packed").expect("written");
        }
        fs::write(&path, "3\n").expect("written");
        let mut reading = again(&options, &sent).expect("opens");
        let mut drawn = Drawn::default();
        let error = (0..5).find_map(|_| reading.next(&mut drawn).err()).expect("an error").to_string();
        assert!(error.contains(said), "{error}");
    }
}
