//! Golden cases: `fixtures/bad/<case>.yaml` gives `fixtures/bad/<case>.txt`.

use super::{fixtures, load, same_as_committed};
use std::collections::BTreeSet;

fn cases(extension: &str) -> BTreeSet<String> {
    std::fs::read_dir(fixtures("bad"))
        .expect("fixtures")
        .map(|entry| entry.expect("entry").path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .map(|path| path.file_stem().expect("stem").to_string_lossy().into_owned())
        .collect()
}

#[test]
fn each_bad_file_is_answered_as_recorded() {
    let folder = fixtures("bad");
    for case in cases("yaml") {
        let problems = load(&folder, &format!("{case}.yaml")).expect_err(&case);
        same_as_committed(&folder.join(format!("{case}.txt")), &format!("{problems}\n"));
    }
    assert_eq!(cases("yaml"), cases("txt"), "each case has its answer and each answer its case");
}

#[test]
fn problems_come_in_the_order_of_the_file_and_lie_in_it() {
    let folder = fixtures("bad");
    for case in cases("yaml") {
        let lines = std::fs::read_to_string(folder.join(format!("{case}.yaml"))).expect("read").lines().count();
        let problems = load(&folder, &format!("{case}.yaml")).expect_err(&case).0;
        assert!(problems.is_sorted_by_key(|problem| (problem.line, problem.column)), "{case}");
        assert!(problems.iter().all(|problem| problem.line as usize <= lines + 1), "{case}");
    }
}

#[test]
fn no_answer_shows_the_value_of_a_variable() {
    for case in cases("yaml") {
        let problems = load(&fixtures("bad"), &format!("{case}.yaml")).expect_err(&case).to_string();
        assert!(!problems.contains("hunter2"), "{case}: {problems}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_one_problem_of_the_whole_file() {
    let problems = load(&fixtures("bad"), "nowhere.yaml").expect_err("no such file");
    assert_eq!(problems.0.len(), 1);
    assert!(problems.to_string().starts_with("nowhere.yaml: error: cannot read the pipeline file: "), "{problems}");
}
