//! What happens when a client leaves: a response that is dropped before its end is reported as dropped, and
//! `at_disconnect` decides what becomes of its tasks.
//!
//! | module | |
//! |---|---|
//! | `policies` | A response that is dropped before its end: the client has gone. |

mod policies;
