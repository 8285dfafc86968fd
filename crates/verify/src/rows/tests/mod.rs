//! Files as they should be, and each way in which one may not be.

mod hostile;
mod truth;
