//! Generated events against their truth: exact, and told where they differ.

use super::stocks::{self, FILE};
use super::{fine, scratch, watertight};

#[test]
fn generated_events_of_each_kind_come_out_exactly_as_their_truth_says() {
    for (example, stream, kind) in [("stocks", "stock_ticks", "stocks"), ("api-usage", "api_usage_events", "api-usage")]
    {
        let dir = scratch();
        let dir = dir.path();
        fine(dir, &["init", example, "x"]);
        let generated = ["produce", "-f", FILE, "--stream", stream, "--generate", kind, "--count", "30000"];
        let planted = ["--duplicates", "5%", "--late", "3%", "--malformed", "0.5%", "--seed", "11"];
        let kept = ["--ledger", "l", "--truth", "t"];
        fine(dir, &[&generated[..], &planted, &kept].concat());
        fine(dir, &["run", "-f", FILE, "--until-caught-up", "--close-windows"]);
        fine(dir, &["compare", "-f", FILE, "--truth", "t", "--ledger", "l", "--all-windows"]);
    }
}

#[test]
fn a_difference_is_found_and_named() {
    let dir = scratch();
    let dir = dir.path();
    stocks::init(dir);
    stocks::produce(dir, &["--count", "500", "--truth", "t"]);
    fine(dir, &["run", "-f", FILE, "--until-caught-up", "--close-windows"]);
    let truth = dir.join("t/silver.jsonl");
    let text = std::fs::read_to_string(&truth).expect("written by produce");
    let shorter: Vec<&str> = text.lines().skip(1).collect();
    std::fs::write(&truth, shorter.join("\n")).expect("written");
    let answer = watertight(dir, &["compare", "-f", FILE, "--truth", "t", "--all-windows"]);
    assert_eq!(answer.code, Some(1), "{}", answer.out);
    assert!(answer.out.contains("differs"), "{}", answer.out);
}
