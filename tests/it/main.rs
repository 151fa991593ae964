//! How the crate behaves, seen from outside. Each module is about one thing, and each test's name
//! says what holds.

mod axum_extractor;
mod before_release;
mod bodies;
mod context;
mod corners;
mod deadlines_example;
mod detached;
mod disconnects;
mod fallible;
mod handle;
mod hold_ends;
mod hold_table;
mod late_spawns;
mod logs;
mod models;
mod nested_layers;
mod properties;
mod readme;
mod reports;
mod required;
mod required_ends;
mod scope;
mod server_timing;
mod shutdown;
mod spawning;
mod static_traits;
mod support;
mod unfinished;
mod wire;
