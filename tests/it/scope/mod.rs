//! Services that are not HTTP, and functions: `TaskScopeLayer` and its `fail_with`, `scope`, `Scope`.
//!
//! | module | |
//! |---|---|
//! | `failures` | `fail_with`: required tasks of requests that are not HTTP. |
//! | `function` | `scope`: a function that waits for its tasks. |
//! | `layer` | `TaskScopeLayer`: services that are not HTTP. |
//! | `nested` | Scopes and layers inside of each other. |

mod failures;
mod function;
mod layer;
mod nested;
