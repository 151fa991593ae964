//! Before a wait begins, the layer drops the body if a server would not poll it again, so that a task may wait for
//! the end of the body, or for its drop. `ResponseBody` and `BodyError`.
//!
//! | module | |
//! |---|---|
//! | `answers_to_head` | The body of an answer to `HEAD`, which is never sent: it is dropped, and its length is kept. |
//! | `case` | A body that tests play: what it gives, and what a client gets of it. |
//! | `error_conversions` | `BodyError` where it meets the error types of axum, `axum-extra` and hyper. |
//! | `errors` | `BodyError`: which errors of a body it wraps, and how the inner error is found through it. |
//! | `finished` | A body that the server would not poll again is dropped before a wait. So a task may wait for the end of the body, or for its drop. |
//! | `hints` | `is_end_stream`, `size_hint` and `get_ref` of a response body, while it is held and at its end. |
//! | `kept` | What is kept of a body that is polled before a wait, and how far it is polled. |

mod answers_to_head;
pub(crate) mod case;
mod error_conversions;
mod errors;
mod finished;
mod hints;
pub(crate) mod kept;
