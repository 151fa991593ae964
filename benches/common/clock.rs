//! The cost of a clock read. It is a large part of a request with a task, and differs from machine to machine.

use std::convert::Infallible;
use std::hint::black_box;
use std::time::Instant;

use http::Request;
use tower::service_fn;

use crate::contender::Contender;
use crate::contenders::answer;

/// Returns the bare handler with one clock read.
pub(crate) fn clock() -> Contender {
    Contender::new(service_fn(|_: Request<()>| async {
        black_box(Instant::now());
        Ok::<_, Infallible>(answer())
    }))
}
