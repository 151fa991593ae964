//! Helpers: what tests record of the log and of spans.
//!
//! | module | |
//! |---|---|
//! | `closed` | The spans that have closed. |
//! | `lines` | The lines of the log. |

pub(crate) mod closed;
pub(crate) mod lines;
