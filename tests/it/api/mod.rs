//! The public API: closures, sources, hooks and builders as users write them compile, and the types are `Send`,
//! `Sync`, `Clone`, `Debug` and `Unpin` as users expect.
//!
//! | module | |
//! |---|---|
//! | `static_traits` | The auto traits and derived traits of the public types. |
//! | `usage` | Closures, sources, hooks and builders as users write them. |

mod static_traits;
mod usage;
