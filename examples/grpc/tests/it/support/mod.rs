//! Helpers that the tests share.

mod kind;
mod raw;
mod run;
mod server;
mod shop;
mod work;

pub(crate) use self::kind::{Kind, ask};
pub(crate) use self::raw::{RawAnswer, Seen, call};
pub(crate) use self::run::{LIMIT, run};
pub(crate) use self::server::{Incoming, TestServer, serve};
pub(crate) use self::shop::{Shop, order, ready_steps};
pub(crate) use self::work::{Events, Work};

/// The `grpc-message` of a call that a required task has failed. Its code alone is not enough, because tonic's client
/// reports the same code for a stream that is reset.
pub(crate) const REQUIRED_FAILED: &str = "a task that the response depends on has failed";
