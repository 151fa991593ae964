//! Fuzz targets for `tower-task-tracker`. Each makes a request from bytes, plays it through the public API in virtual
//! time, and checks the guarantees of the crate:
//!
//! * [`deadlines`]: whatever deadline the fields of a request contain;
//! * [`requests`]: whatever a handler, its body, its tasks and its client do. The property tests play the same model.
//!
//! `tests/fuzz/run` fuzzes, from any directory and with a stable toolchain:
//!
//! ```sh
//! cargo install cargo-fuzz
//! tests/fuzz/run              # both targets, five minutes each
//! tests/fuzz/run 600 requests # one target, for 600 seconds
//! ```
//!
//! If an input fails, its meaning is printed and the input is kept in `tests/fuzz/artifacts`. It can also be played
//! without a fuzzer and without its instrumentation, from `tests/fuzz`:
//!
//! ```sh
//! cargo run --bin requests -- artifacts/requests/crash-*
//! ```
//!
//! # Panics
//!
//! A fuzzer reports every panic, also one that is caught. This is wanted: a panic of the library inside a task would go
//! unnoticed otherwise. A task that panics by plan uses `resume_unwind`, which does not call the panic hook.

pub mod deadlines;
mod replay;

pub use replay::{replay, replay_arguments};
pub use tower_task_tracker_requests as requests;
