//! Statements of the README and of the guides about the crate's own files.
//!
//! | module | |
//! |---|---|
//! | `index` | The index of these tests names every folder and every module. |
//! | `readme` | The README and the guides name the files, commands, messages and versions of this repository. |

mod index;
mod readme;
