//! Arithmetic that fails where DataFusion's wraps around (docs/adr/0011).
//!
//! DataFusion plans `+`, `-` and `*` over integers modulo 2^64. Its physical expression has a switch for that, which no
//! option reaches; here it is set on the finished expression. A decimal result has to keep within its type's digits too,
//! and the negation of an integer is a strict subtraction from zero. (The pipeline does none of this: it replaces the
//! operations in the logical plan by functions of its own.)

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{
    DECIMAL128_MAX_PRECISION, DECIMAL256_MAX_PRECISION, DataType, Decimal128Type, Decimal256Type, DecimalType,
    FieldRef, Schema,
};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Result, internal_err};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{ColumnarValue, Operator};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, Literal, NegativeExpr};
use datafusion::scalar::ScalarValue;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// The expression with strict arithmetic over integers and decimals.
pub(super) fn exact(expression: Arc<dyn PhysicalExpr>, schema: &Schema) -> Result<Arc<dyn PhysicalExpr>> {
    let strict = expression.transform_up(|node| {
        Ok(match strict(&node, schema)? {
            Some(strict) => Transformed::yes(strict),
            None => Transformed::no(node),
        })
    })?;
    Ok(strict.data)
}

/// What stands in the place of an operation that may wrap around.
fn strict(node: &Arc<dyn PhysicalExpr>, schema: &Schema) -> Result<Option<Arc<dyn PhysicalExpr>>> {
    let counts = |kind: &DataType| kind.is_integer() || kind.is_decimal();
    if let Some(binary) = node.downcast_ref::<BinaryExpr>() {
        let (left, right) = (binary.left(), binary.right());
        let may_wrap = matches!(binary.op(), Operator::Plus | Operator::Minus | Operator::Multiply)
            && counts(&left.data_type(schema)?)
            && counts(&right.data_type(schema)?);
        return may_wrap.then(|| failing(left, *binary.op(), right, schema)).transpose();
    }
    if let Some(negative) = node.downcast_ref::<NegativeExpr>() {
        let kind = negative.arg().data_type(schema)?;
        if kind.is_signed_integer() {
            let zero: Arc<dyn PhysicalExpr> = Arc::new(Literal::new(ScalarValue::new_zero(&kind)?));
            return failing(&zero, Operator::Minus, negative.arg(), schema).map(Some);
        }
    }
    Ok(None)
}

fn failing(
    left: &Arc<dyn PhysicalExpr>,
    op: Operator,
    right: &Arc<dyn PhysicalExpr>,
    schema: &Schema,
) -> Result<Arc<dyn PhysicalExpr>> {
    let strict = BinaryExpr::new(Arc::clone(left), op, Arc::clone(right)).with_fail_on_overflow(true);
    let kind = strict.data_type(schema)?;
    let inner: Arc<dyn PhysicalExpr> = Arc::new(strict);
    // A result type grows with its operands up to the longest: only there a value can have more digits.
    Ok(match kind {
        DataType::Decimal128(DECIMAL128_MAX_PRECISION, _) | DataType::Decimal256(DECIMAL256_MAX_PRECISION, _) => {
            Arc::new(WithinDigits { inner })
        }
        _ => inner,
    })
}

/// An expression that fails where a decimal has more digits than its type.
#[derive(Debug)]
struct WithinDigits {
    inner: Arc<dyn PhysicalExpr>,
}

// By hand, as DataFusion's own expressions do: a derived comparison would move the inner one.
impl PartialEq for WithinDigits {
    fn eq(&self, other: &Self) -> bool {
        self.inner.eq(&other.inner)
    }
}

impl Eq for WithinDigits {}

impl Hash for WithinDigits {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
    }
}

impl fmt::Display for WithinDigits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.inner)
    }
}

impl PhysicalExpr for WithinDigits {
    fn data_type(&self, input_schema: &Schema) -> Result<DataType> {
        self.inner.data_type(input_schema)
    }

    fn nullable(&self, input_schema: &Schema) -> Result<bool> {
        self.inner.nullable(input_schema)
    }

    fn return_field(&self, input_schema: &Schema) -> Result<FieldRef> {
        self.inner.return_field(input_schema)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let value = self.inner.evaluate(batch)?;
        let array = value.to_array(batch.num_rows())?;
        if within::<Decimal128Type>(array.as_ref()) && within::<Decimal256Type>(array.as_ref()) {
            Ok(value)
        } else {
            Err(DataFusionError::Execution("a decimal has more digits than its type".to_owned()))
        }
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.inner]
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        match <[Arc<dyn PhysicalExpr>; 1]>::try_from(children) {
            Ok([inner]) => Ok(Arc::new(Self { inner })),
            Err(children) => internal_err!("one child is needed, not {}", children.len()),
        }
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt_sql(f)
    }
}

/// Whether an array is of another type, or holds no value with too many digits.
fn within<T: DecimalType>(array: &dyn Array) -> bool {
    array.as_primitive_opt::<T>().is_none_or(|values| {
        values.iter().flatten().all(|value| T::is_valid_decimal_precision(value, T::MAX_PRECISION))
    })
}
