//! A shop on AWS Lambda: the code that the forms in `src/bin` share.
//!
//! Lambda freezes an instance when its runtime requests the next event, without a delay. Work that still runs is lost,
//! or runs on during a later invocation
//! (<https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html>). The work of an order takes longer
//! than its answer, and each form waits for it at another place. The README describes when to use which form.

mod app;
mod export;
mod order;

pub use app::app;
pub use order::Order;
