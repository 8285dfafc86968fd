//! `octet_length` over bytes too, as standard SQL has it: DataFusion's own takes text only, and what lies in bronze as
//! bytes need not be text.

use arrow::compute::kernels::length::length;
use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

/// The function, to be registered in place of DataFusion's.
pub(crate) fn octet_length() -> ScalarUDF {
    ScalarUDF::from(OctetLength { signature: Signature::any(1, Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct OctetLength {
    signature: Signature,
}

impl ScalarUDFImpl for OctetLength {
    fn name(&self) -> &str {
        "octet_length"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, of: &[DataType]) -> Result<DataType> {
        match of {
            [DataType::LargeUtf8 | DataType::LargeBinary] => Ok(DataType::Int64),
            [DataType::Utf8 | DataType::Utf8View | DataType::Binary | DataType::BinaryView | DataType::Null] => {
                Ok(DataType::Int32)
            }
            _ => Err(DataFusionError::Plan("octet_length takes one argument, a text or bytes".to_owned())),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match args.args.as_slice() {
            [value] if value.data_type() == DataType::Null => Ok(ColumnarValue::Scalar(ScalarValue::Int32(None))),
            [ColumnarValue::Array(values)] => Ok(ColumnarValue::Array(length(values.as_ref())?)),
            [ColumnarValue::Scalar(value)] => {
                let lengths = length(value.to_array()?.as_ref())?;
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(lengths.as_ref(), 0)?))
            }
            _ => Err(DataFusionError::Internal("octet_length was called without its one argument".to_owned())),
        }
    }
}
