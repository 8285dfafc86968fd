//! Tables of text: the first column to the left, the others to the right, columns two spaces apart.

/// Renders `rows` below `header`; every line ends with a line feed. A row that is too short has empty cells.
pub(crate) fn render(header: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([header[column].chars().count()]).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let head: Vec<String> = header.iter().map(|title| (*title).to_owned()).collect();
    let mut text = String::new();
    for row in std::iter::once(&head).chain(rows) {
        let mut line = String::new();
        for (column, width) in widths.iter().enumerate() {
            let cell = row.get(column).map_or("", String::as_str);
            if column == 0 {
                line.push_str(&format!("{cell:<width$}"));
            } else {
                line.push_str(&format!("  {cell:>width$}"));
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_by_characters_and_not_by_bytes() {
        let rows = vec![vec!["L0".to_owned(), "1.25 (0.98–1.45)".to_owned()], vec!["L1".to_owned(), "–".to_owned()]];
        let text = render(&["level", "× L0"], &rows);
        assert_eq!(text, "level              × L0\nL0     1.25 (0.98–1.45)\nL1                    –\n");
    }

    #[test]
    fn a_short_row_leaves_its_cells_empty() {
        assert_eq!(render(&["a", "b"], &[vec!["x".to_owned()]]), "a  b\nx\n");
        assert_eq!(render(&["a", "b"], &[]), "a  b\n");
    }
}
