//! What is held of a response under `Hold::Auto`, `End`, `Head`, `Required` and `Never`: the head, or the end of
//! the body.
//!
//! | module | |
//! |---|---|
//! | `never` | `Hold::Never`: responses are not held, but their tasks are tracked and reported. |
//! | `required` | `Hold::Required`: responses wait for required tasks alone. |
//! | `table` | The table of what is held, row by row. The tests call the library's own decision directly. |
//! | `tasks` | What holds a response: everything that counts as a task, on every path of the handler. |

mod never;
mod required;
mod table;
mod tasks;
