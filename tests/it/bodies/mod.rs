//! Before a wait begins, the layer drops the body if a server would not poll it again; what the server still needs
//! is kept. `ResponseBody` and `BodyError`.
//!
//! | module | |
//! |---|---|
//! | `answers_to_head` | The body of an answer to `HEAD`, which is never sent to the client. |
//! | `errors` | `BodyError`: which errors of a body it wraps, and how the inner error is found through it. |
//! | `finished` | A body that the server would not poll again is dropped before a wait. So a task that waits for its drop does not wait for the response. |
//! | `hints` | The response body, frame by frame, for cases that the property tests do not single out. |
//! | `kept` | What is kept of a body that is polled before a wait, and how far it is polled. |

mod answers_to_head;
mod errors;
pub(crate) mod finished;
mod hints;
mod kept;
