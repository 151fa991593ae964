//! Fuzz targets for `tower-task-tracker`. Each makes a request out of bytes, plays it through the public API in
//! virtual time, and checks what the crate guarantees:
//!
//! * [`deadlines`]: whatever the fields of a request say of its deadline;
//! * [`bodies`]: whatever a body, its tasks and its client do.
//!
//! `tests/fuzz/run` fuzzes, from any directory and with a stable toolchain:
//!
//! ```sh
//! cargo install cargo-fuzz
//! tests/fuzz/run            # both targets, five minutes each
//! tests/fuzz/run 600 bodies # one of them, for so many seconds
//! ```
//!
//! An input that fails is printed as what it means, and kept in `tests/fuzz/artifacts`. It can be played without a
//! fuzzer too, and without its instrumentation, from `tests/fuzz`:
//!
//! ```sh
//! cargo run --bin bodies -- artifacts/bodies/crash-*
//! ```
//!
//! # Panics
//!
//! A fuzzer takes every panic for a finding, also one that is caught. That is as it should be: a panic of the
//! library inside of a task would not be seen otherwise. Tasks that panic by plan do so past the panic hook,
//! with `resume_unwind`.

pub mod bodies;
mod bytes;
mod clock;
pub mod deadlines;
mod replay;

pub use replay::{replay, replay_arguments};
