//! Deadlines from headers of any content.

mod any_bytes;
mod well_formed;

const HEADERS: [&str; 3] = ["grpc-timeout", "prefer", "x-amzn-lambda-context"];
