//! Spans: each task runs in a span of its own (`TaskSpans`), and the request's span closes once the response is out
//! and no task is waited for.
//!
//! | module | |
//! |---|---|
//! | `open` | When the span of a request closes: once the response is out and nothing is waited for, even if parts of the request are kept. |
//! | `tasks` | The spans that tasks run in. |

mod open;
mod tasks;
