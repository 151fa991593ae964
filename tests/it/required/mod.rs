//! Required tasks: a response fails if one of its required tasks fails, panics, is aborted or is late.
//! `failure_status`, `deadline_status`, and how a body that has begun fails.
//!
//! | module | |
//! |---|---|
//! | `awaited` | Two ways to do the work that an answer promises: |
//! | `begun_bodies` | What becomes of a body that has begun when a required task fails. |
//! | `failures` | Required tasks: the response depends on them. |
//! | `refusal_fields` | Which fields of a refused answer a failed head keeps, and what the refusal does on a real connection. |
//! | `release` | Required tasks in combination with other rules. |

mod awaited;
mod begun_bodies;
pub(crate) mod failures;
mod refusal_fields;
mod release;
