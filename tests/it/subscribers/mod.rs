//! Helpers: what was logged, and which spans have closed.
//!
//! | module | |
//! |---|---|
//! | `closed` | The spans that have closed. |
//! | `lines` | The lines of the log. |

pub(crate) mod closed;
pub(crate) mod lines;
