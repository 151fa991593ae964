//! A shop on AWS Lambda: what the forms in `src/bin` have in common.
//!
//! Lambda freezes an instance when its runtime asks for the next event, and gives no time after that:
//! what still runs is lost, or runs on during a later invocation
//! (<https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html>). The work behind an
//! order takes a moment longer than the answer to it; each form waits for it at another place. The
//! README says which is for what.

mod app;
mod export;
mod order;

pub use app::app;
pub use order::Order;
