//! Models of the protocols between threads: the library's own `request` and `process`, built on `loom`'s primitives.
//! Loom runs every interleaving up to a number of preemptions.
//!
//! Not modelled: the counts of an `Arc`, and what tokio and tokio-util synchronize themselves. Each of their operations
//! is one step. Other threads run between these steps only where a model touches something that `loom` sees: see
//! `sync::touch_count`.

include!("../source.rs");
mod sync;

mod world;

mod aborts;
mod hand_offs;
mod lists;
mod pooling;
mod releases;
mod shutdowns;
mod waits;
