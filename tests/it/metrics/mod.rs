//! Metrics recorded through the `metrics` facade: counters, gauges and a histogram, as `describe_metrics` lists
//! them.
//!
//! | module | |
//! |---|---|
//! | `descriptions` | Every metric is described. |
//! | `meter` | A recorder that keeps what is recorded. |
//! | `requests` | The gauges of live tasks and held responses, the histogram of drains, and the counter of requests that are shed. |
//! | `tasks` | The counters of tasks. |

mod descriptions;
mod meter;
mod requests;
mod tasks;
