// The library's own source under `request` and `process`, for tests of what is private in it: included at the root of
// a test crate, which adds a module `sync`.

// A test uses a part of it, with some of its features.
#[allow(
    dead_code,
    unexpected_cfgs,
    unreachable_pub,
    unused_imports,
    missing_docs,
    clippy::wrong_self_convention
)]
#[path = "../src/deadline/mod.rs"]
mod deadline;
#[allow(dead_code, unexpected_cfgs)]
#[path = "../src/metrics.rs"]
mod metrics;
#[allow(dead_code, unexpected_cfgs)]
#[path = "../src/panics.rs"]
mod panics;
#[allow(dead_code, unexpected_cfgs)]
#[path = "../src/process/mod.rs"]
mod process;
#[allow(dead_code, unexpected_cfgs, unreachable_pub, unused_imports, missing_docs)]
#[path = "../src/report/mod.rs"]
mod report;
#[allow(dead_code, unexpected_cfgs)]
#[path = "../src/request/mod.rs"]
mod request;
#[allow(
    dead_code,
    missing_docs,
    unexpected_cfgs,
    unreachable_pub,
    unused_imports,
    unused_macros
)]
#[path = "../src/settings/mod.rs"]
mod settings;
#[allow(dead_code, unexpected_cfgs)]
#[path = "../src/throttle.rs"]
mod throttle;
#[allow(dead_code, unexpected_cfgs)]
#[path = "../src/trace.rs"]
mod trace;
