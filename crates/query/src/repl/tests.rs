//! The shell, driven by scripted lines.

use super::*;
use crate::Interrupt;
use crate::test_lake::TestLake;
use arrow::datatypes::{DataType, Field};
use std::collections::VecDeque;

struct Script {
    lines: VecDeque<Line>,
    prompts: Vec<String>,
    remembered: Vec<String>,
    interrupt: Interrupt,
}

impl Lines for Script {
    fn next(&mut self, prompt: &str) -> Result<Line, QueryError> {
        self.prompts.push(prompt.trim().to_owned());
        Ok(self.lines.pop_front().unwrap_or(Line::End))
    }

    fn remember(&mut self, statement: &str) {
        self.remembered.push(statement.to_owned());
        if statement.contains("-- Ctrl-C") {
            self.interrupt.raise();
        }
    }
}

fn typed(lines: impl IntoIterator<Item = &'static str>) -> (String, Script) {
    let lake = TestLake::new();
    lake.table("silver", "x", vec![Field::new("n", DataType::Int64, true), Field::new("at", DataType::Utf8, false)]);
    let session = lake.session();
    let lines = lines.into_iter().map(|line| match line {
        "^C" => Line::Cancelled,
        text => Line::Text(text.to_owned()),
    });
    let interrupt = session.interrupt();
    let mut script = Script { lines: lines.collect(), prompts: Vec::new(), remembered: Vec::new(), interrupt };
    let mut out = Vec::new();
    Repl::new(&session, Format::Csv).serve(&mut script, &mut out).unwrap();
    (String::from_utf8(out).unwrap(), script)
}

#[test]
fn a_statement_spans_lines_until_its_semicolon_and_is_remembered_whole() {
    let (out, script) = typed(["select 1 as a,", "  ';' as b", ";", "select 2 as c; select 3 as d;"]);
    assert_eq!(out, "a,b\n1,;\nc\n2\nd\n3\n");
    assert_eq!(script.prompts, ["watertight>", "...", "...", "watertight>", "watertight>"]);
    assert_eq!(script.remembered, ["select 1 as a,\n  ';' as b\n;", "select 2 as c; select 3 as d;"]);
}

#[test]
fn ctrl_c_drops_what_was_typed_and_an_error_leaves_the_shell_running() {
    let (out, _) = typed(["select nonsense", "^C", "select * from y;", "drop table x;", "select 7 as g;"]);
    assert!(
        out.starts_with("error: there is no table 'silver.y'; there are: silver.x\nerror: DROP TABLE is refused"),
        "{out}"
    );
    assert!(out.ends_with("g\n7\n"), "{out}");
}

#[test]
fn commands_list_tables_and_columns_and_leave() {
    let (out, _) = typed(["\\d", "\\d silver.x", "\\d silver.y", "\\z", "", "  ", "\\q", "select 1;"]);
    let expected = "silver.x\nn    long\nat   string not null\nday  date not null\nerror: there is no table 'silver.y'";
    assert!(out.starts_with(expected), "{out}");
    assert!(out.contains("there is no command \\\\z"), "{out}");
    assert!(!out.contains("Int64(1)"), "it went on after \\q: {out}");
}

#[test]
fn an_interrupt_ends_the_statements_of_the_line_and_the_next_line_runs() {
    let (out, script) = typed(["select 1 as a; select 2 as b; -- Ctrl-C", "select 3 as c;"]);
    assert_eq!(out, "interrupted\nc\n3\n");
    assert_eq!(script.prompts, ["watertight>", "watertight>", "watertight>"]);
}
