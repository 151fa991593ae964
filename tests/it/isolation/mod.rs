//! One request affects no other: the memory of a request is used again, and nothing of an earlier request is left
//! in it.
//!
//! | module | |
//! |---|---|
//! | `reused_memory` | The memory of a request is used again: nothing of an earlier request is left in it. |

mod reused_memory;
