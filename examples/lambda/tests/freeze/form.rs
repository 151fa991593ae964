//! The programs that run as instances.

use std::path::Path;

/// A program and its invoke mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Held,
    HeldStream,
    Posted,
    PostedStream,
    Queue,
    Untracked,
    Misplaced,
}

impl Form {
    pub(crate) fn program(self) -> &'static Path {
        Path::new(match self {
            Form::Held | Form::HeldStream => env!("CARGO_BIN_EXE_held"),
            Form::Posted | Form::PostedStream => env!("CARGO_BIN_EXE_posted"),
            Form::Queue => env!("CARGO_BIN_EXE_queue"),
            Form::Untracked => env!("CARGO_BIN_EXE_untracked"),
            Form::Misplaced => env!("CARGO_BIN_EXE_misplaced"),
        })
    }

    /// Returns whether the program is started for a front that streams.
    pub(crate) fn streams(self) -> bool {
        matches!(self, Form::HeldStream | Form::PostedStream)
    }
}
