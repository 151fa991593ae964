//! The layer in tonic, over real connections on loopback.

mod body_errors;
mod compression;
mod deadline_status;
mod deadlines;
mod example;
mod failing;
mod leaving;
mod overload;
mod places;
mod required;
mod required_ends;
mod required_streams;
mod shutdown;
mod statuses;
mod streaming;
mod support;
mod timeouts;
mod unary;
mod untouched;
mod web;
