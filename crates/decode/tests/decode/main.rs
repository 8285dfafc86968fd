//! The decoder from outside: every code, every type, what is left over, hostile bytes, and an independent oracle.

mod codes;
mod extra;
mod hostile;
mod oracle;
mod read;
mod stream;
mod values;
