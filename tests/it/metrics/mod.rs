//! Metrics recorded through the `metrics` facade: counters, gauges and a histogram, as `describe_metrics` lists
//! them.
//!
//! | module | |
//! |---|---|
//! | `meter` | A recorder that keeps what is recorded. |
//! | `requests` | Metrics recorded through the `metrics` facade. The recorder is local to the test's thread, and everything runs on that thread. |

mod meter;
mod requests;
