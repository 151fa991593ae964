//! What becomes of late tasks, which are alive at the deadline: `at_deadline` with the policies
//! `Unfinished::Continue`, `Cancel` and `Abort`.
//!
//! | module | |
//! |---|---|
//! | `policies` | What becomes of tasks that are alive when the window closes. |

mod policies;
