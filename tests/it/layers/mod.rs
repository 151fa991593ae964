//! Nested layers: an inner layer makes no second tracker, its settings win, what it does not set is inherited, and
//! its callbacks are added. `DrainSettings`.
//!
//! | module | |
//! |---|---|
//! | `nested` | What a layer inside of another one adds, overrides and leaves. |
//! | `settings` | `DrainSettings`: what a layer and a scope share, and how two of them merge. |

mod nested;
mod settings;
