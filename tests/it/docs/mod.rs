//! Statements of the README and of the guides about the crate's own files.
//!
//! | module | |
//! |---|---|
//! | `readme` | Statements of the README and of the guides about the crate's own files. |

mod readme;
