//! Services that are not HTTP: `TaskScopeLayer` holds the answer of any tower service, `scope` and `Scope` wait for
//! the tasks of a function.
//!
//! | module | |
//! |---|---|
//! | `failures` | Required tasks of requests that are not HTTP. |
//! | `function` | `scope`: a function that waits for its tasks. |
//! | `layer` | Services that are not HTTP. |

mod failures;
mod function;
mod layer;
