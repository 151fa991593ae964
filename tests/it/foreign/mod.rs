//! Foreign code in the middle of a request: wakers, subscribers, observers and destructors that panic or that call back
//! into the request. Each of the [scenes] is played with each of them. What is observed of the request stays the same.

mod destructors;
mod observers;
mod scenes;
mod stage;
mod subscribers;
mod wakers;
