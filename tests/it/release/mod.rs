//! When a response is released: when no task of the request is alive, and at its deadline at the latest.
//!
//! | module | |
//! |---|---|
//! | `ends` | Each way in which the hold of a head ends. |
//! | `last_moment` | Events in the last moment of a wait, between its look at the tasks and the release. In that moment the library calls a subscriber to learn whether the report is logged, and the call may take long. |
//! | `order` | The order of events at the end of a task: if the end releases a response, the log, the counts and the report of that task are complete by then. |
//! | `threads` | Races between threads. |
//! | `wakers` | A released request drops the waker of its wait. So a kept `Tasks` does not keep the server's task alive, and a task that runs on does not wake the server's task. |

mod ends;
mod last_moment;
mod order;
mod threads;
mod wakers;
