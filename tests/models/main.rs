//! Models of the protocols between threads: the library's own `request` and `process`, with `loom`'s primitives under
//! them, in every interleaving with so many preemptions.
//!
//! Not modelled: the counts of an `Arc`, and what tokio and tokio-util synchronize themselves. Each of their operations
//! is one step. Other threads run between the steps only where a model touches something that `loom` sees: see
//! `sync::touch_count`.

include!("../source.rs");
mod sync;

mod world;

mod aborts;
mod lists;
mod pooling;
mod releases;
mod shutdowns;
mod waits;
