//! `RunToCompletionLayer`: a handler runs to its end when its client leaves.
//!
//! | module | |
//! |---|---|
//! | `handlers` | Handlers that run to their end after their caller has dropped the response. |

pub(crate) mod handlers;
