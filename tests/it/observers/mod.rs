//! Callbacks: `on_drain` and the observer's `on_drain`, `on_late_spawn` and `on_late_end`.
//!
//! | module | |
//! |---|---|
//! | `calls` | Which callbacks are called for a request, and in which order. |
//! | `requests` | A callback runs outside of any request, and may use the one that it is called for. |

mod calls;
mod requests;
