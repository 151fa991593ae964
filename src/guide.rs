//! Guides, each about one topic. This module has no code. It exists in the documentation only.

// The guides link to these names.
#[allow(unused_imports)]
use crate::*;

#[doc = include_str!("docs/tracking.md")]
pub mod tracking {}

#[doc = include_str!("docs/deadlines.md")]
pub mod deadlines {}

#[doc = include_str!("docs/failures.md")]
pub mod failures {}

#[doc = include_str!("docs/hand_off.md")]
pub mod hand_off {}

#[doc = include_str!("docs/disconnects.md")]
pub mod disconnects {}

#[doc = include_str!("docs/layers.md")]
pub mod layers {}

#[doc = include_str!("docs/shutdown.md")]
pub mod shutdown {}

#[doc = include_str!("docs/telemetry.md")]
pub mod telemetry {}

#[doc = include_str!("docs/limits.md")]
pub mod limits {}

#[doc = include_str!("docs/comparison.md")]
pub mod comparison {}

#[doc = include_str!("docs/troubleshooting.md")]
pub mod troubleshooting {}

#[doc = include_str!("docs/examples.md")]
pub mod examples {}
