//! `before_release`: a hook that is awaited when the tasks are done, before the response is released.
//!
//! | module | |
//! |---|---|
//! | `calls` | What is awaited before a response is released. |
//! | `deadlines` | `before_release` in combination with other rules. |

mod calls;
mod deadlines;
