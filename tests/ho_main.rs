#![allow(dead_code, unused_imports)]
#[path = "it/hand_off/mod.rs"]
mod hand_off;
#[path = "support/mod.rs"]
mod support;
