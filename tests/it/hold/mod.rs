//! What the layer holds: the head of a complete body, or the end of a stream. The modes `Hold::Auto`, `End`, `Head`,
//! `Required` and `Never`, upgraded streams, and tasks that a body spawns.
//!
//! | module | |
//! |---|---|
//! | `body_spawns` | Tasks that a body spawns are waited for: while it streams, when its size is read, and in its destructor. |
//! | `complete_bodies` | A complete body has its head held. |
//! | `errors` | An error of the service is held, and so is a response with an error status. |
//! | `never` | `Hold::Never`: nothing is held, and the tasks are tracked and reported. |
//! | `required` | `Hold::Required`: responses wait for required tasks alone. |
//! | `required_bodies` | `Hold::Required`, where the body spawns a required task while it streams. |
//! | `streams` | The data of a stream goes out at once, and its end or its trailers are held. |
//! | `table` | The table of what is held, row by row, also while a required task is alive. The tests call the library's own decision directly. |
//! | `tasks` | Everything that counts as a task holds the response. |
//! | `upgrades` | 101, or 2xx to `CONNECT`: nothing is held, and a later spawn is not late. |

pub(crate) mod body_spawns;
mod complete_bodies;
mod errors;
mod never;
mod required;
mod required_bodies;
mod streams;
mod table;
mod tasks;
mod upgrades;
