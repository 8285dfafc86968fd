//! A model keeps the window length under which its rows were written.
//!
//! Windows of two lengths in one table overlap: its rows would no longer be unique by window and groups, and a sum
//! over the table would count events twice. The length is looked up in the definition that the table's newest books
//! name, not in the newest definition: that one may never have written a row. It is not taken from the rows, because
//! a model need not select `window_end`.

use watertight_core::books::Books;
use watertight_core::port::{ErrorKind, PortError};
use watertight_core::schema::ModelDef;

/// What becomes of a gold table that was moved away (docs/adr/0018).
const REBUILT: &str = "the next run makes it again from the rows of silver that are not late (docs/runbooks/gold.md)";

/// Refuses `def` if its table holds windows of another length. `definition` gives the text of a version of this
/// model, as `ops.definitions` holds it. To be asked before `def` is entered there.
///
/// # Errors
/// `Stop`: the lengths differ, or the definition cannot be found.
pub fn keeps_its_window(
    def: &ModelDef,
    newest: Option<&Books>,
    definition: impl FnOnce(i32) -> Option<String>,
) -> Result<(), PortError> {
    let Some(books) = newest.filter(|books| books.closed_until_us.is_some()) else { return Ok(()) };
    let name = &def.name;
    let written: Option<ModelDef> =
        definition(books.definition).and_then(|text| serde_json::from_str(text.as_str()).ok());
    let reason = match written {
        Some(written) if written.window_us == def.window_us => return Ok(()),
        Some(written) => format!(
            "gold.{name} holds windows of {}, and the model now says {}; go back to that length, declare the model \
             under a new name, or move the folder of gold.{name} away while the pipeline stands still: {REBUILT}",
            length(written.window_us),
            length(def.window_us)
        ),
        None => format!(
            "gold.{name} holds windows written under version {} of the model, which ops.definitions does not have, so \
             that their length is not known; bring ops.definitions back, declare the model under a new name, or move the \
             folder of gold.{name} away while the pipeline stands still: {REBUILT}",
            books.definition
        ),
    };
    Err(PortError::new(ErrorKind::Stop, reason))
}

fn length(us: i64) -> String {
    match (us % 1_000_000, us % 1_000) {
        (0, _) => format!("{} s", us / 1_000_000),
        (_, 0) => format!("{} ms", us / 1_000),
        _ => format!("{us} µs"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(window_us: i64) -> ModelDef {
        ModelDef { name: "m".into(), from: "s".into(), window_us, sql: "select 1".into() }
    }

    fn books(definition: i32, closed_until_us: Option<i64>) -> Books {
        let mut books = Books::append("p", "c".into());
        books.definition = definition;
        books.closed_until_us = closed_until_us;
        books
    }

    fn text(window_us: i64) -> Option<String> {
        serde_json::to_string(&model(window_us)).ok()
    }

    #[test]
    fn a_table_without_rows_takes_any_window() {
        let never = |_: i32| -> Option<String> { panic!("nothing to look up") };
        assert!(keeps_its_window(&model(1_000_000), None, never).is_ok());
        assert!(keeps_its_window(&model(1_000_000), Some(&books(1, None)), never).is_ok());
    }

    #[test]
    fn another_length_than_that_of_the_rows_is_refused_with_what_to_do() {
        let newest = books(3, Some(0));
        let written = |version: i32| if version == 3 { text(60_000_000) } else { text(1_500_000) };
        assert!(keeps_its_window(&model(60_000_000), Some(&newest), written).is_ok());
        let error = keeps_its_window(&model(1_500_000), Some(&newest), written).unwrap_err().to_string();
        assert!(error.contains("windows of 60 s, and the model now says 1500 ms"), "{error}");
        assert!(error.contains("under a new name"), "{error}");
        assert!(error.contains("move the folder of gold.m away") && error.contains("runbooks/gold.md"), "{error}");
    }

    #[test]
    fn a_length_that_is_not_known_is_refused() {
        for lost in [None, Some("{".to_owned())] {
            let error = keeps_its_window(&model(1), Some(&books(3, Some(0))), |_| lost).unwrap_err().to_string();
            assert!(error.contains("version 3"), "{error}");
        }
    }
}
