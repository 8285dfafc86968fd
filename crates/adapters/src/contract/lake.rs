//! What every lake must do.
