//! HTTP/2: what a client receives before the task ends, and after it.
//!
//! | module | |
//! |---|---|
//! | `ends` | HTTP/2: bodies that end in trailers, in an error, or short of their length. |
//! | `lengths` | HTTP/2: how the length of a response decides what is held. |
//! | `no_body` | HTTP/2: responses that end with their head. The head is held in every mode that holds. |
//! | `streams` | HTTP/2: many responses on one connection, each with its own hold. |

mod ends;
mod lengths;
mod no_body;
mod streams;
