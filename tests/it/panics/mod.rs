//! Panics of tasks and handlers, and panics of the crate where it is misused. (Callbacks, subscribers and wakers
//! that panic: `foreign`.)
//!
//! | module | |
//! |---|---|
//! | `misuse` | Panics of tasks and handlers, and panics of the crate where it is misused. |

mod misuse;
