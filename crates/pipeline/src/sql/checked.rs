//! Arithmetic that fails where DataFusion's wraps around.
//!
//! DataFusion adds, subtracts, multiplies and negates integers modulo 2⁶⁴, without a word; its switch for that
//! (`BinaryExpr::with_fail_on_overflow`) is reached by no session option. [`Checked`] stands in the place of such an
//! expression, has its type and nullability, and calls Arrow's kernels that fail. Decimals fail in both; here they
//! also do when a result has more digits than its type, which Arrow lets pass while 128 or 256 bits hold it.

use arrow::array::{ArrayRef, AsArray};
use arrow::compute::CastOptions;
use arrow::compute::kernels::numeric::{add, mul, neg, sub};
use arrow::datatypes::{
    DECIMAL128_MAX_PRECISION, DECIMAL256_MAX_PRECISION, DataType, Decimal128Type, Decimal256Type, DecimalType, Field,
    FieldRef,
};
use arrow::error::ArrowError;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result, internal_err};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::binary::BinaryTypeCoercer;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::interval_arithmetic::Interval;
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, ExprSchemable, Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility,
};
use datafusion::physical_expr_common::datum::apply;
use std::error::Error;
use std::sync::Arc;

/// A result is larger than its type holds. It names no value: that would be a row's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a number is larger than its type holds; cast to a wider type before adding up or multiplying")]
pub(super) struct Overflow;

fn overflow() -> DataFusionError {
    DataFusionError::External(Box::new(Overflow))
}

/// Whether an error says that a number did not fit in its type.
pub(crate) fn is_overflow(error: &DataFusionError) -> bool {
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = next {
        let arithmetic = matches!(error.downcast_ref::<ArrowError>(), Some(ArrowError::ArithmeticOverflow(_)));
        if arithmetic || error.is::<Overflow>() {
            return true;
        }
        next = error.source();
    }
    false
}

/// `expr` with checked arithmetic on integers and decimals. Its types must be coerced, and resolve in `schema`.
pub(super) fn checked(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let may_overflow = |expr: &Expr| expr.get_type(schema).is_ok_and(|kind| kind.is_integer() || kind.is_decimal());
    expr.transform_up(|expr| {
        Ok(match expr {
            Expr::BinaryExpr(BinaryExpr { left, op, right })
                if matches!(op, Operator::Plus | Operator::Minus | Operator::Multiply)
                    && may_overflow(&left)
                    && may_overflow(&right) =>
            {
                Transformed::yes(call(Operation::Binary(op), vec![*left, *right]))
            }
            Expr::Negative(inner) if may_overflow(&inner) => Transformed::yes(call(Operation::Negate, vec![*inner])),
            other => Transformed::no(other),
        })
    })
}

/// `expr` as `kind`, or an overflow.
pub(super) fn narrowed(expr: Expr, kind: DataType) -> Expr {
    call(Operation::Narrow(kind), vec![expr])
}

fn call(operation: Operation, args: Vec<Expr>) -> Expr {
    let signature = Signature::any(args.len(), Volatility::Immutable);
    let function = ScalarUDF::new_from_impl(Checked { operation, signature });
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(function), args))
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Operation {
    /// `+`, `-` or `*`.
    Binary(Operator),
    /// `-` before one number.
    Negate,
    /// A cast that fails with [`Overflow`].
    Narrow(DataType),
}

/// One of the operations, as a function.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Checked {
    operation: Operation,
    signature: Signature,
}

impl ScalarUDFImpl for Checked {
    fn name(&self) -> &str {
        match &self.operation {
            Operation::Binary(Operator::Plus) => "checked_add",
            Operation::Binary(Operator::Minus) => "checked_subtract",
            Operation::Binary(_) => "checked_multiply",
            Operation::Negate => "checked_negate",
            Operation::Narrow(_) => "checked_narrow",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        match (&self.operation, arg_types) {
            (Operation::Binary(op), [left, right]) => BinaryTypeCoercer::new(left, op, right).get_result_type(),
            (Operation::Negate, [kind]) | (Operation::Narrow(kind), [_]) => Ok(kind.clone()),
            _ => internal_err!("{} was given {} arguments", self.name(), arg_types.len()),
        }
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let types: Vec<DataType> = args.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        let nullable = args.arg_fields.iter().any(|field| field.is_nullable());
        Ok(Arc::new(Field::new(self.name(), self.return_type(&types)?, nullable)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match (&self.operation, args.args.as_slice()) {
            (Operation::Binary(Operator::Plus), [left, right]) => within_digits(apply(left, right, add)?),
            (Operation::Binary(Operator::Minus), [left, right]) => within_digits(apply(left, right, sub)?),
            (Operation::Binary(Operator::Multiply), [left, right]) => within_digits(apply(left, right, mul)?),
            (Operation::Negate, [value]) => {
                let values = value.to_array(args.number_rows)?;
                Ok(ColumnarValue::Array(neg(values.as_ref())?))
            }
            (Operation::Narrow(kind), [value]) => narrow(value, kind),
            _ => internal_err!("{} was given {} arguments", self.name(), args.args.len()),
        }
    }

    /// Unbounded, in the right type: DataFusion compares bounds of like types only.
    fn evaluate_bounds(&self, input: &[&Interval]) -> Result<Interval> {
        let types: Vec<DataType> = input.iter().map(|interval| interval.data_type()).collect();
        Interval::make_unbounded(&self.return_type(&types).unwrap_or(DataType::Null))
    }
}

fn narrow(value: &ColumnarValue, kind: &DataType) -> Result<ColumnarValue> {
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    let cast = |value: &ColumnarValue, kind: &DataType| value.cast_to(kind, Some(&strict)).map_err(|_| overflow());
    match kind {
        // Decimals become lengths of time by way of their count of units.
        DataType::Duration(_) => cast(&cast(value, &DataType::Int64)?, kind),
        _ => cast(value, kind),
    }
}

/// A decimal's result type grows with its operands, up to a limit: only there a value can have too many digits.
fn within_digits(value: ColumnarValue) -> Result<ColumnarValue> {
    let fits = match value.data_type() {
        DataType::Decimal128(DECIMAL128_MAX_PRECISION, _) => all_fit::<Decimal128Type>(&value.to_array(1)?),
        DataType::Decimal256(DECIMAL256_MAX_PRECISION, _) => all_fit::<Decimal256Type>(&value.to_array(1)?),
        _ => true,
    };
    if fits { Ok(value) } else { Err(overflow()) }
}

fn all_fit<T: DecimalType>(values: &ArrayRef) -> bool {
    values.as_primitive::<T>().iter().flatten().all(|value| T::is_valid_decimal_precision(value, T::MAX_PRECISION))
}
