//! Metrics: the counters, the gauges and the histogram that `describe_metrics` lists.
//!
//! | module | |
//! |---|---|
//! | `descriptions` | Every metric is described. |
//! | `meter` | A recorder that keeps what is recorded. |
//! | `requests` | The gauges of live tasks and held responses, the histogram of drains, and the counter of requests that are refused. |
//! | `tasks` | The counters of tasks, with their labels: the state, and the name if it is not computed. |

mod descriptions;
mod meter;
mod requests;
mod tasks;
