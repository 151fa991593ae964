//! When `on_drain` and the callbacks of an observer, for late spawns and late ends too, are called.
//!
//! | module | |
//! |---|---|
//! | `calls` | Which callbacks are called for a request, and in which order. |
//! | `requests` | A callback runs outside of any request, and may use the one that it is called for. |

mod calls;
mod requests;
