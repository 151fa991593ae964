//! When a response is released: when no task of the request is alive, and at the deadline of its drain window at the
//! latest. A request that has spawned nothing is not touched.
//!
//! | module | |
//! |---|---|
//! | `ends` | Each way in which the hold of a head ends. |
//! | `last_moment` | Events between the last look of a wait at its tasks and the release. In that moment the library calls a subscriber to learn whether the report is logged, and the call may take long. |
//! | `order` | A task that releases a response has ended before: its future is dropped, and its end is logged and counted. |
//! | `wakers` | Only the end of the last task wakes a held response. A released request drops the waker of its wait, so that a kept `Tasks` does not keep the server's task alive. |

mod ends;
mod last_moment;
mod order;
mod wakers;
