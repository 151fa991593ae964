//! The public API: code as users write it compiles, and its types have the traits that users expect.
//!
//! | module | |
//! |---|---|
//! | `static_traits` | The auto traits and derived traits of the public types. |
//! | `usage` | Closures, sources, hooks and builders as users write them. |

mod static_traits;
mod usage;
