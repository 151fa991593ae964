//! The primitives under [`Live`](super::live::Live), named in one place so that its `loom` models
//! can put their own in.

pub(crate) use std::sync::Mutex;
pub(crate) use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
