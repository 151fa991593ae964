//! Clients that leave: what a server notices of it, and what is reported.
//!
//! | module | |
//! |---|---|
//! | `goaway` | HTTP/2: clients that send GOAWAY. It ends no stream: the client may wait for the streams that are open, and hyper serves them to their end. |
//! | `half_closed` | HTTP/1: clients that close their sending side after the request, and wait for the answer. |
//! | `http1` | HTTP/1: clients that leave before the end of their response. |
//! | `http2` | HTTP/2: clients that leave one response, or all of them at once. |
//! | `unnoticed` | Clients that leave unnoticed: their requests go on, and are reported as if the client were there. |
//! | `uploads` | HTTP/1: clients that leave before all of their request's body is read. |
//! | `whole` | Clients that leave when the server has the whole response: that is no disconnect. |

mod goaway;
mod half_closed;
mod http1;
mod http2;
mod unnoticed;
mod uploads;
mod whole;
