//! What goes to `_extra`, verbatim.

use crate::read::{Value, text};
use crate::stream::{column, decode, stream};
use watertight_core::schema::{ColumnType, StreamDef};

fn extra(def: &StreamDef, payload: &str) -> Option<String> {
    match decode(def, payload).row.expect("accepted").pop() {
        Some(Value::Text(json)) => Some(json),
        Some(Value::Null) => None,
        other => panic!("_extra is {other:?}"),
    }
}

#[test]
fn members_that_no_column_takes_are_kept_as_they_were_written() {
    let def = stream([]);
    for (members, kept) in [
        ("", None),
        (r#","a":1"#, Some(r#"{"a":1}"#)),
        (r#", "a" : 1.50 , "b":null"#, Some(r#"{"a":1.50,"b":null}"#)),
        (r#","\u0061\"":"\u00e9\n""#, Some(r#"{"\u0061\"":"\u00e9\n"}"#)),
        (r#","o":{ "x":[1, 2 ,{}] },"e":{}"#, Some(r#"{"o":{ "x":[1, 2 ,{}] },"e":{}}"#)),
        (r#","":"empty key""#, Some(r#"{"":"empty key"}"#)),
    ] {
        assert_eq!(extra(&def, &format!(r#"{{"id":"a","ts":1{members}}}"#)).as_deref(), kept, "{members}");
    }
}

#[test]
fn an_object_that_paths_lead_through_leaves_the_rest_of_itself() {
    let def = stream([column("p.q.x", ColumnType::Long), column("p.y", ColumnType::Long)]);
    for (members, kept) in [
        (r#""p":{"q":{"x":1},"y":2}"#, None),
        (r#""p":{"q":{}}"#, None),
        (r#""p":{}"#, None),
        (r#""p":null"#, None),
        (r#""p":{"q":null,"z":3}"#, Some(r#"{"p":{"z":3}}"#)),
        (r#""p":{"q":{"w":[0],"x":1,"v":0},"y":2}"#, Some(r#"{"p":{"q":{"w":[0],"v":0}}}"#)),
        (r#""p":{"z":3,"q":{"w":4}},"o":5"#, Some(r#"{"o":5,"p":{"z":3,"q":{"w":4}}}"#)),
    ] {
        assert_eq!(extra(&def, &format!(r#"{{"id":"a","ts":1,{members}}}"#)).as_deref(), kept, "{members}");
    }
}

#[test]
fn structs_leave_their_other_members_under_the_same_keys() {
    let point = ColumnType::Struct(vec![("x".to_owned(), ColumnType::Long)]);
    let shape = ColumnType::Struct(vec![
        ("a".to_owned(), point.clone()),
        ("all".to_owned(), ColumnType::List(Box::new(point.clone()))),
    ]);
    let def = stream([
        column("p.shape", shape),
        column("rows", ColumnType::List(Box::new(ColumnType::List(Box::new(point))))),
    ]);
    for (members, kept) in [
        (r#""p":{"shape":{"a":{"x":1},"all":[{"x":1}]}},"rows":[[{"x":1}]]"#, None),
        (r#""p":{"shape":{"a":{"x":1,"y":2}}}"#, Some(r#"{"p":{"shape":{"a":{"y":2}}}}"#)),
        (
            r#""p":{"shape":{"n":0,"all":[null,{"y":2},{"x":1}]}}"#,
            Some(r#"{"p":{"shape":{"n":0,"all":[null,{"y":2},null]}}}"#),
        ),
        (r#""rows":[[],[{"x":1},{"z":9}],null]"#, Some(r#"{"rows":[null,[null,{"z":9}],null]}"#)),
        (
            r#""u":1,"rows":[[{"z":9}]],"p":{"v":2,"shape":{"w":3}}"#,
            Some(r#"{"u":1,"p":{"v":2,"shape":{"w":3}},"rows":[[{"z":9}]]}"#),
        ),
    ] {
        assert_eq!(extra(&def, &format!(r#"{{"id":"a","ts":1,{members}}}"#)).as_deref(), kept, "{members}");
    }
    let row = decode(&def, r#"{"id":"a","ts":1,"rows":[[{"x":7,"z":9}]]}"#).row.expect("accepted");
    let seven = Value::Struct(vec![Value::Integer(7)]);
    assert_eq!(row[3], Value::List(vec![Value::List(vec![seven])]));
    assert_eq!(row[4], text(r#"{"rows":[[{"z":9}]]}"#));
}
