//! Callbacks: `on_drain` and the observer's `on_drain`, `on_late_spawn` and `on_late_end`.
//!
//! | module | |
//! |---|---|
//! | `calls` | Which observers are called for a request, and how their callbacks affect it. |

mod calls;
