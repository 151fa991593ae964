//! What the README and the guides state about files, commands, versions and messages of this repository, and this
//! index.
//!
//! | module | |
//! |---|---|
//! | `index` | The index of these tests names every folder and every module. |
//! | `readme` | The README and the guides name the files, commands, messages and versions of this repository. |

mod index;
mod readme;
