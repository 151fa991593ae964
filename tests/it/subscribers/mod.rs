//! Helpers: what tests record of the log and of spans.
//!
//! | module | |
//! |---|---|
//! | `closed` | A subscriber layer that records which spans close. |
//! | `lines` | Helpers that record the log. |

pub(crate) mod closed;
pub(crate) mod lines;
