//! A task that panics affects neither its siblings nor the response. Panics of handlers, and panics of the crate
//! where it is misused.
//!
//! | module | |
//! |---|---|
//! | `handlers` | A handler that panics: the response is dropped, and the panic goes on. |
//! | `misuse` | The crate panics where it is misused: a future that is polled after its end, a runtime without time. |
//! | `tasks` | A task that panics affects neither its siblings nor the response, unless it is required. |

mod handlers;
mod misuse;
mod tasks;
