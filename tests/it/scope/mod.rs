//! Services that are not HTTP, and functions: `TaskScopeLayer` and its `fail_with`, `scope`, `Scope`.
//!
//! | module | |
//! |---|---|
//! | `failures` | `fail_with`: required tasks of requests that are not HTTP. |
//! | `function` | `scope`: a function that waits for its tasks. |
//! | `layer` | `TaskScopeLayer`: services that are not HTTP. |
//! | `nested` | Scopes and layers inside of each other: the outermost one holds, and a scope leaves the body of a response alone. |

mod failures;
mod function;
mod layer;
mod nested;
