//! Two sets of a model's rows side by side: which are missing, too many, or different.
//!
//! Both sides are sorted by key and walked together. Integers, decimals, times, text and lists must be the same to the
//! bit; null equals null. A float may differ by 10⁻⁹ of its size (four bytes: 10⁻⁶): a sum depends on the order in
//! which it was added up. A sum whose terms nearly cancel out may differ by more; decimals have no such trouble.

use super::show;
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, make_comparator};
use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use arrow::error::ArrowError;
use arrow::row::{RowConverter, Rows, SortField};
use std::cmp::Ordering;

/// By how much of its size a double may differ.
const DOUBLE_TOLERANCE: f64 = 1e-9;
/// By how much of its size a float of four bytes may differ: its last digits are further in front.
const FLOAT_TOLERANCE: f64 = 1e-6;

/// A column of a row that has two values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Changed {
    /// Column.
    pub column: String,
    /// What it should be, for people.
    pub expected: String,
    /// What it is, for people.
    pub found: String,
}

/// A difference; rows are numbers of rows of the two sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Difference {
    /// An expected row that is not there.
    Missing {
        /// Of the expected side.
        expected: usize,
    },
    /// A row whose key is not expected.
    Extra {
        /// Of the found side.
        found: usize,
    },
    /// A row whose key is expected, but stands there more often than it should.
    Doubled {
        /// Of the found side.
        found: usize,
        /// How often the key stands there.
        times: usize,
    },
    /// A row with other values.
    Different {
        /// Of the found side.
        found: usize,
        /// The columns.
        changed: Vec<Changed>,
    },
}

/// Compares two sides of the same columns; `keys` tell rows apart, `skipped` are not compared.
///
/// # Errors
/// A type that cannot be compared.
pub(super) fn differences(
    expected: &RecordBatch,
    found: &RecordBatch,
    keys: &[String],
    skipped: &[String],
    mut tell: impl FnMut(Difference),
) -> Result<(), ArrowError> {
    let sides = Sides::new(expected, found, keys, skipped)?;
    let (left, right) = (in_order(&sides.expected_keys), in_order(&sides.found_keys));
    let (mut l, mut r) = (0, 0);
    while l < left.len() || r < right.len() {
        let order = match (left.get(l), right.get(r)) {
            (Some(a), Some(b)) => sides.expected_keys.row(*a).cmp(&sides.found_keys.row(*b)),
            (Some(_), None) => Ordering::Less,
            _ => Ordering::Greater,
        };
        match order {
            Ordering::Less => {
                tell(Difference::Missing { expected: left[l] });
                l += 1;
            }
            Ordering::Greater => {
                tell(Difference::Extra { found: right[r] });
                r += 1;
            }
            Ordering::Equal => {
                let (l_end, r_end) = (run_end(&sides.expected_keys, &left, l), run_end(&sides.found_keys, &right, r));
                sides.same_key(&left[l..l_end], &right[r..r_end], &mut tell);
                (l, r) = (l_end, r_end);
            }
        }
    }
    Ok(())
}

fn in_order(keys: &Rows) -> Vec<usize> {
    let mut order: Vec<usize> = (0..keys.num_rows()).collect();
    order.sort_by(|a, b| keys.row(*a).cmp(&keys.row(*b)));
    order
}

/// The end of the rows that have the key of the one at `from`.
fn run_end(keys: &Rows, order: &[usize], from: usize) -> usize {
    let first = keys.row(order[from]);
    order[from..].iter().position(|row| keys.row(*row) != first).map_or(order.len(), |length| from + length)
}

/// Whether row `i` of the expected side and row `j` of the found one agree in a column.
type Same = Box<dyn Fn(usize, usize) -> bool>;

struct Sides<'a> {
    expected: &'a RecordBatch,
    found: &'a RecordBatch,
    expected_keys: Rows,
    found_keys: Rows,
    compared: Vec<(usize, Same)>,
}

impl<'a> Sides<'a> {
    fn new(
        expected: &'a RecordBatch,
        found: &'a RecordBatch,
        keys: &[String],
        skipped: &[String],
    ) -> Result<Self, ArrowError> {
        let schema = expected.schema();
        let indices = keys.iter().map(|name| schema.index_of(name)).collect::<Result<Vec<_>, _>>()?;
        let fields = indices.iter().map(|index| SortField::new(expected.column(*index).data_type().clone())).collect();
        let converter = RowConverter::new(fields)?;
        let encode = |side: &RecordBatch| {
            converter.convert_columns(&indices.iter().map(|index| side.column(*index).clone()).collect::<Vec<_>>())
        };
        let (expected_keys, found_keys) = (encode(expected)?, encode(found)?);
        let mut compared = Vec::new();
        for (index, field) in schema.fields().iter().enumerate() {
            if !keys.contains(field.name()) && !skipped.contains(field.name()) {
                compared.push((index, same(expected.column(index), found.column(index))?));
            }
        }
        Ok(Self { expected, found, expected_keys, found_keys, compared })
    }

    fn equal(&self, expected: usize, found: usize) -> bool {
        self.compared.iter().all(|(_, same)| same(expected, found))
    }

    /// Rows of one key: usually one on each side. More are paired with their like first.
    fn same_key(&self, expected: &[usize], found: &[usize], tell: &mut impl FnMut(Difference)) {
        let mut left = found.to_vec();
        let mut unpaired = Vec::new();
        for row in expected {
            match left.iter().position(|other| self.equal(*row, *other)) {
                Some(at) => {
                    left.remove(at);
                }
                None => unpaired.push(*row),
            }
        }
        let pairs = unpaired.len().min(left.len());
        for (row, other) in unpaired.iter().zip(&left) {
            tell(Difference::Different { found: *other, changed: self.changed(*row, *other) });
        }
        for row in &unpaired[pairs..] {
            tell(Difference::Missing { expected: *row });
        }
        for other in &left[pairs..] {
            tell(Difference::Doubled { found: *other, times: found.len() });
        }
    }

    fn changed(&self, expected: usize, found: usize) -> Vec<Changed> {
        let differing = self.compared.iter().filter(|(_, same)| !same(expected, found));
        differing
            .map(|(index, _)| Changed {
                column: self.expected.schema_ref().field(*index).name().clone(),
                expected: show::value(self.expected.column(*index), expected),
                found: show::value(self.found.column(*index), found),
            })
            .collect()
    }
}

fn same(expected: &ArrayRef, found: &ArrayRef) -> Result<Same, ArrowError> {
    Ok(match (expected.data_type(), found.data_type()) {
        (DataType::Float64, DataType::Float64) => {
            let (a, b) = (expected.as_primitive::<Float64Type>().clone(), found.as_primitive::<Float64Type>().clone());
            Box::new(move |i, j| match (a.is_valid(i), b.is_valid(j)) {
                (true, true) => close(a.value(i), b.value(j), DOUBLE_TOLERANCE),
                (x, y) => x == y,
            })
        }
        (DataType::Float32, DataType::Float32) => {
            let (a, b) = (expected.as_primitive::<Float32Type>().clone(), found.as_primitive::<Float32Type>().clone());
            Box::new(move |i, j| match (a.is_valid(i), b.is_valid(j)) {
                (true, true) => close(f64::from(a.value(i)), f64::from(b.value(j)), FLOAT_TOLERANCE),
                (x, y) => x == y,
            })
        }
        (DataType::Struct(fields), DataType::Struct(others)) if fields.len() == others.len() => {
            let (a, b) = (expected.as_struct().clone(), found.as_struct().clone());
            let parts =
                a.columns().iter().zip(b.columns()).map(|(x, y)| same(x, y)).collect::<Result<Vec<Same>, _>>()?;
            Box::new(move |i, j| match (a.is_valid(i), b.is_valid(j)) {
                (true, true) => parts.iter().all(|same| same(i, j)),
                (x, y) => x == y,
            })
        }
        _ => {
            let compare = make_comparator(expected.as_ref(), found.as_ref(), SortOptions::default())?;
            Box::new(move |i, j| compare(i, j).is_eq())
        }
    })
}

fn close(a: f64, b: f64, tolerance: f64) -> bool {
    if a == b || (a.is_nan() && b.is_nan()) {
        return true;
    }
    a.is_finite() && b.is_finite() && (a - b).abs() <= tolerance * a.abs().max(b.abs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Float64Array, Int64Array, StringArray};
    use std::sync::Arc;

    fn side(rows: &[(&str, Option<i64>, f64)]) -> RecordBatch {
        RecordBatch::try_from_iter_with_nullable([
            ("k", Arc::new(rows.iter().map(|row| Some(row.0)).collect::<StringArray>()) as ArrayRef, true),
            ("n", Arc::new(rows.iter().map(|row| row.1).collect::<Int64Array>()) as ArrayRef, true),
            ("x", Arc::new(rows.iter().map(|row| Some(row.2)).collect::<Float64Array>()) as ArrayRef, true),
        ])
        .unwrap()
    }

    fn compare(expected: &RecordBatch, found: &RecordBatch, skipped: &[&str]) -> Vec<Difference> {
        let skipped: Vec<String> = skipped.iter().map(|name| (*name).to_owned()).collect();
        let mut told = Vec::new();
        differences(expected, found, &["k".to_owned()], &skipped, |difference| told.push(difference)).unwrap();
        told
    }

    #[test]
    fn the_same_rows_in_another_order_do_not_differ() {
        let a = side(&[("a", Some(1), 1.0), ("b", None, f64::NAN), ("c", Some(3), 0.1 + 0.2)]);
        let b = side(&[("c", Some(3), 0.3), ("a", Some(1), 1.0), ("b", None, f64::NAN)]);
        assert!(compare(&a, &b, &[]).is_empty());
    }

    #[test]
    fn every_kind_of_difference_is_told() {
        let expected = side(&[("a", Some(1), 1.0), ("b", Some(2), 2.0), ("c", Some(3), 3.0)]);
        let found = side(&[("b", Some(2), 2.0), ("b", Some(2), 2.0), ("c", None, 3.1), ("d", Some(4), 4.0)]);
        let changed = |column: &str, expected: &str, found: &str| Changed {
            column: column.into(),
            expected: expected.into(),
            found: found.into(),
        };
        let told = [
            Difference::Missing { expected: 0 },
            Difference::Doubled { found: 1, times: 2 },
            Difference::Different { found: 2, changed: vec![changed("n", "3", "null"), changed("x", "3.0", "3.1")] },
            Difference::Extra { found: 3 },
        ];
        assert_eq!(compare(&expected, &found, &[]), told);
    }

    #[test]
    fn a_double_may_differ_in_its_last_digits_only() {
        let expected = side(&[("a", Some(1), 1e6)]);
        assert!(compare(&expected, &side(&[("a", Some(1), 1e6 + 1e-4)]), &[]).is_empty());
        assert_eq!(compare(&expected, &side(&[("a", Some(1), 1e6 + 1e-2)]), &[]).len(), 1);
        assert_eq!(compare(&expected, &side(&[("a", Some(1), f64::INFINITY)]), &[]).len(), 1);
        assert!(compare(&expected, &side(&[("a", Some(1), 7.0)]), &["x"]).is_empty(), "a column that is left out");
    }

    #[test]
    fn of_two_rows_of_a_key_the_one_that_is_as_expected_stays() {
        let expected = side(&[("a", Some(1), 1.0)]);
        let found = side(&[("a", Some(9), 1.0), ("a", Some(1), 1.0)]);
        assert_eq!(compare(&expected, &found, &[]), [Difference::Doubled { found: 0, times: 2 }]);
    }

    #[test]
    fn keys_that_stand_twice_on_both_sides_are_paired() {
        let expected = side(&[("a", Some(1), 1.0), ("a", Some(2), 1.0)]);
        let found = side(&[("a", Some(2), 1.0), ("a", Some(1), 1.0)]);
        assert!(compare(&expected, &found, &[]).is_empty());
        assert_eq!(compare(&expected, &side(&[("a", Some(2), 1.0)]), &[]), [Difference::Missing { expected: 0 }]);
    }
}
