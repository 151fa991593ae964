//! Foreign code in the middle of a request: wakers, subscribers, observers and destructors that panic or that call back
//! into the request. Each of the [scenes] is played with each of them. What is observed of the request stays the same.
//!
//! | module | |
//! |---|---|
//! | `destructors` | Tasks whose futures panic when they are dropped. |
//! | `observers` | Observers that panic. |
//! | `recorders` | Recorders of metrics that panic. |
//! | `scenes` | What may happen to a request. Each scene is one request, or one run of a scope, from beginning to end. |
//! | `spans` | Subscribers whose spans or events panic or take long. |
//! | `stage` | The setting of a scene: a layer, an observer that records its calls, and foreign code that misbehaves. |
//! | `subscribers` | Subscribers that panic in a scene. |
//! | `wakers` | Wakers that call back into the request, and wakers that panic. |

mod destructors;
mod observers;
mod recorders;
mod scenes;
mod spans;
mod stage;
mod subscribers;
mod wakers;
