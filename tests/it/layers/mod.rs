//! Nested layers and their settings: the outermost layer holds, the innermost settings win, callbacks add up.
//! `DrainSettings`.
//!
//! | module | |
//! |---|---|
//! | `nested` | A layer inside of another one. |
//! | `settings` | `DrainSettings`: what a layer and a scope share, and how two of them merge. |

mod nested;
mod settings;
