//! Subscribers that panic.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tracing::span::{Attributes, Id};
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

use super::scenes::Scene;
use super::stage::{Hostile, planned, play};

/// A call of the subscriber.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hook {
    Enabled,
    NewSpan,
    FollowsFrom,
    Event,
    Enter,
    Exit,
    Close,
}

/// A subscriber of which one call panics, after the registry beneath it was called.
pub(super) struct Interfering {
    hook: Hook,
    armed: Arc<AtomicBool>,
}

impl Interfering {
    pub(super) fn new(hook: Hook, armed: Arc<AtomicBool>) -> Self {
        Self { hook, armed }
    }

    fn touched(&self, hook: Hook) {
        // A registry closes a parent while it unwinds from the close of a child.
        let may = self.armed.load(Ordering::SeqCst) && !thread::panicking();
        if self.hook == hook && may {
            planned();
        }
    }
}

impl<S: Subscriber> Layer<S> for Interfering {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }
    fn enabled(&self, _: &Metadata<'_>, _: Context<'_, S>) -> bool {
        self.touched(Hook::Enabled);
        true
    }
    fn on_new_span(&self, _: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        self.touched(Hook::NewSpan);
    }
    fn on_follows_from(&self, _: &Id, _: &Id, _: Context<'_, S>) {
        self.touched(Hook::FollowsFrom);
    }
    fn on_event(&self, _: &Event<'_>, _: Context<'_, S>) {
        self.touched(Hook::Event);
    }
    fn on_enter(&self, _: &Id, _: Context<'_, S>) {
        self.touched(Hook::Enter);
    }
    fn on_exit(&self, _: &Id, _: Context<'_, S>) {
        self.touched(Hook::Exit);
    }
    fn on_close(&self, _: Id, _: Context<'_, S>) {
        self.touched(Hook::Close);
    }
}

/// In each place where the crate logs, or touches a span.
pub(super) fn is_the_same_where_one_panics(scene: &'static Scene) {
    let calm = play(scene, Hostile::default());
    for hook in [
        Hook::Enabled,
        Hook::NewSpan,
        Hook::FollowsFrom,
        Hook::Event,
        Hook::Enter,
        Hook::Exit,
        Hook::Close,
    ] {
        let hostile = Hostile {
            subscriber: Some(hook),
            ..Hostile::default()
        };
        assert_eq!(play(scene, hostile), calm, "{hook:?}");
    }
}
