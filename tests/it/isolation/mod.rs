//! A request affects no other one: the memory of a request is used again, and nothing of an earlier request is left
//! in it.
//!
//! | module | |
//! |---|---|
//! | `neighbours` | Requests that are served at the same time. |
//! | `reused_memory` | The memory of a request is used again. |

mod neighbours;
mod reused_memory;
