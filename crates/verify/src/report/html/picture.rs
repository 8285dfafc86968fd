//! The pictures: the flow of a stream with its numbers, and each partition's offsets as a bar.

use super::super::{Balance, Range, TableReport, words};
use super::escaped;
use std::fmt::Write as _;

/// Units of a bar's width; a missing offset is at least one of them wide, so that it is seen.
const BAR_WIDTH: i64 = 1_000;
const BAR_LEAST: i64 = 4;

/// A box of the flow: left, top, name, count.
struct Node<'a> {
    x: u32,
    y: u32,
    name: &'a str,
    count: String,
}

const NODE_WIDTH: u32 = 130;
const NODE_HEIGHT: u32 = 52;
const COLUMN: u32 = 178;
const ROW: u32 = 66;

/// log → bronze → silver, duplicates, dead letters … → gold.
pub(super) fn flow(balance: &Balance, gold: &[(String, Option<u64>)]) -> String {
    let number = words::grouped;
    let mut outcomes =
        vec![("silver", balance.silver), ("duplicates", balance.duplicates), ("dead letters", balance.dead_letters)];
    let rare = [("withheld", balance.withheld), ("erased", balance.erased), ("not yet in silver", balance.ahead)];
    outcomes.extend(rare.into_iter().filter(|(_, count)| *count > 0));
    let node = |column: u32, row: usize, name, count| Node {
        x: column * COLUMN + 4,
        y: u32::try_from(row).unwrap_or(0) * ROW + 4,
        name,
        count,
    };
    let mut nodes =
        vec![node(0, 0, "offsets of the log", number(balance.offsets)), node(1, 0, "bronze", number(balance.bronze))];
    nodes.extend(outcomes.iter().enumerate().map(|(row, (name, count))| node(2, row, *name, number(*count))));
    let shown = |rows: Option<u64>| rows.map_or("?".to_owned(), number);
    nodes.extend(gold.iter().enumerate().map(|(row, (name, rows))| node(3, row, name.as_str(), shown(*rows))));
    let rows = u32::try_from(outcomes.len().max(gold.len())).unwrap_or(u32::MAX / ROW - 1);
    let width = COLUMN * if gold.is_empty() { 2 } else { 3 } + NODE_WIDTH + 8;
    let mut svg = format!(
        "<h2>Stream {}</h2>\n<p>{}</p>\n<div class=\"scroll flow\">\n<svg viewBox=\"0 0 {width} {}\" role=\"img\" \
         aria-label=\"the flow of stream {}\">\n",
        escaped(&balance.stream),
        escaped(&super::text::balance_in_words(balance)),
        rows * ROW + 24,
        escaped(&balance.stream),
    );
    edge(&mut svg, (0, 0), (1, 0));
    (0..outcomes.len()).for_each(|row| edge(&mut svg, (1, 0), (2, row)));
    (0..gold.len()).for_each(|row| edge(&mut svg, (2, 0), (3, row)));
    nodes.iter().for_each(|node| draw(&mut svg, node));
    if balance.difference() != 0 {
        let _infallible = writeln!(
            svg,
            "<text class=\"alarm\" x=\"{}\" y=\"{}\">{} unaccounted for</text>",
            COLUMN + 4,
            NODE_HEIGHT + 26,
            balance.difference()
        );
    }
    svg.push_str("</svg>\n</div>\n");
    svg
}

fn edge(svg: &mut String, (from_column, from_row): (u32, usize), (to_column, to_row): (u32, usize)) {
    let middle = |row: usize| u32::try_from(row).unwrap_or(0) * ROW + 4 + NODE_HEIGHT / 2;
    let (x1, x2) = (from_column * COLUMN + 4 + NODE_WIDTH, to_column * COLUMN + 4);
    let (y1, y2, bend) = (middle(from_row), middle(to_row), u32::midpoint(x1, x2));
    let _infallible = writeln!(svg, "<path class=\"edge\" d=\"M{x1} {y1} C{bend} {y1} {bend} {y2} {x2} {y2}\"/>");
}

fn draw(svg: &mut String, node: &Node<'_>) {
    let Node { x, y, name, count } = node;
    let _infallible = writeln!(
        svg,
        "<rect class=\"box\" x=\"{x}\" y=\"{y}\" width=\"{NODE_WIDTH}\" height=\"{NODE_HEIGHT}\" rx=\"6\"/>\
         <text class=\"name\" x=\"{0}\" y=\"{1}\">{2}</text><text class=\"count\" x=\"{0}\" y=\"{3}\">{count}</text>",
        x + 10,
        y + 20,
        escaped(&short(name)),
        y + 42,
    );
}

/// As much of a name as a box holds.
fn short(name: &str) -> String {
    const LETTERS: usize = 19;
    if name.chars().count() <= LETTERS {
        return name.to_owned();
    }
    name.chars().take(LETTERS - 1).chain(['…']).collect()
}

/// A table's partitions, a bar each.
pub(super) fn bars(table: &TableReport) -> String {
    let mut html = format!("<h3>{}</h3>\n", escaped(&table.table));
    table.ranges.iter().for_each(|range| bar(&mut html, range));
    html
}

fn bar(html: &mut String, range: &Range) {
    let _infallible = write!(
        html,
        "<div class=\"bar\"><span>partition {}</span>\n<svg viewBox=\"0 0 {BAR_WIDTH} 14\" preserveAspectRatio=\"none\" \
         role=\"img\" aria-label=\"partition {}\">",
        range.partition, range.partition
    );
    stretch(html, "held", range, (range.from, range.to));
    range.declared.iter().for_each(|declared| stretch(html, "declared", range, *declared));
    range.missing.iter().for_each(|missing| stretch(html, "missing", range, *missing));
    let rows = range.rows.map_or("an unknown number of".to_owned(), words::grouped);
    let _infallible = writeln!(
        html,
        "</svg>\n<p class=\"quiet\">offsets {}..{}, {rows} rows{}{}</p></div>",
        range.from,
        range.to,
        told("declared", &range.declared),
        told("missing", &range.missing)
    );
}

/// `, missing 10..12 and 7 more`.
fn told(what: &str, stretches: &[(i64, i64)]) -> String {
    const TOLD: usize = 5;
    if stretches.is_empty() {
        return String::new();
    }
    let first: Vec<String> = stretches.iter().take(TOLD).map(|(from, to)| format!("{from}..{to}")).collect();
    let more = if stretches.len() > TOLD { format!(" and {} more", stretches.len() - TOLD) } else { String::new() };
    format!(", {what} {}{more}", first.join(", "))
}

/// A part of a bar, drawn to scale but never too thin to be seen.
fn stretch(html: &mut String, class: &str, range: &Range, (from, to): (i64, i64)) {
    let (from, to) = (from.max(range.from), to.min(range.to));
    let length = i128::from(range.to) - i128::from(range.from);
    if from >= to || length <= 0 {
        return;
    }
    let scaled = |offset: i64| {
        let part = (i128::from(offset) - i128::from(range.from)) * i128::from(BAR_WIDTH) / length;
        i64::try_from(part).unwrap_or(BAR_WIDTH)
    };
    let width = (scaled(to) - scaled(from)).max(BAR_LEAST);
    let x = scaled(from).min(BAR_WIDTH - width);
    let _infallible = write!(html, "<rect class=\"{class}\" x=\"{x}\" y=\"0\" width=\"{width}\" height=\"14\"/>");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(from: i64, to: i64, missing: &[(i64, i64)]) -> Range {
        Range {
            topic: "t".to_owned(),
            incarnation: "i".to_owned(),
            partition: 0,
            from,
            to,
            rows: Some(1),
            checksum: None,
            missing: missing.to_vec(),
            declared: Vec::new(),
        }
    }

    fn drawn(range: &Range) -> String {
        let mut html = String::new();
        bar(&mut html, range);
        html
    }

    #[test]
    fn one_missing_offset_among_millions_is_seen() {
        let html = drawn(&range(0, 50_000_000, &[(49_999_999, 50_000_000)]));
        assert!(html.contains("class=\"missing\" x=\"996\" y=\"0\" width=\"4\""), "{html}");
        assert!(html.contains("missing 49999999..50000000"), "{html}");
    }

    #[test]
    fn a_bar_of_nothing_and_a_bar_of_everything_are_drawn_without_overflow() {
        assert!(!drawn(&range(5, 5, &[])).contains("<rect"));
        let all = drawn(&range(i64::MIN, i64::MAX, &[(0, i64::MAX)]));
        assert!(all.contains("class=\"missing\" x=\"500\""), "{all}");
    }
}
