//! What was said to the request: by its layers, and by itself.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Registry;
use super::ledger::Ledger;
#[cfg(feature = "http")]
use crate::settings::{AnswerSettings, Hold};
use crate::settings::{Hook, Settings, Unfinished, WindowSettings};

/// What counts once the handler has answered.
#[cfg(feature = "http")]
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) answer: AnswerSettings,
    /// A task is alive that the response fails with.
    pub(crate) required_unfinished: bool,
}

impl Registry {
    /// Says something for this request only. A drain that goes on looks at it at once.
    pub(crate) fn overlay(&self, settings: &Settings) {
        if settings.is_silent() {
            return;
        }
        // What was said is under the ledger's lock: this only has others look there.
        self.is_tuned.store(true, Ordering::Release);
        self.ledger()
            .overrides
            .get_or_insert_default()
            .overlay(settings, &self.shared().settings);
        if let Some(task_spans) = settings.task_spans {
            self.task_spans.store(task_spans, Ordering::Relaxed);
        }
        self.live.wake();
    }

    /// Whether the settings are the layer's, which waits for nothing but tasks, and there are no tasks.
    #[cfg(feature = "http")]
    #[inline]
    pub(crate) fn is_idle(&self) -> bool {
        let ours = &self.shared().settings;
        !self.has_spawned()
            && !self.is_tuned()
            && ours.hooks.is_empty()
            && !matches!(ours.answer.hold, Some(Hold::Never | Hold::Required))
    }

    #[cfg(feature = "http")]
    pub(crate) fn said(&self) -> Said {
        let ours = &self.shared().settings;
        let answer = if self.is_tuned() {
            let ledger = self.ledger();
            let overrides = ledger.overrides.as_deref();
            overrides.map_or(ours.answer, |said| said.answer.over(ours.answer))
        } else {
            ours.answer
        };
        Said {
            answer,
            required_unfinished: self.required_unfinished(),
        }
    }

    /// Whether a nested layer, or the request itself, has said something.
    #[inline]
    pub(super) fn is_tuned(&self) -> bool {
        self.is_tuned.load(Ordering::Acquire)
    }

    pub(crate) fn at_deadline(&self) -> Unfinished {
        let settings = self.ledger().window_settings(&self.shared().settings);
        settings.at_deadline.unwrap_or_default()
    }

    pub(crate) fn at_disconnect(&self) -> Unfinished {
        let settings = self.ledger().window_settings(&self.shared().settings);
        settings.at_disconnect.unwrap_or_default()
    }

    /// Whether something is to be awaited before the release.
    pub(crate) fn has_hooks(&self) -> bool {
        let overrides = || {
            let ledger = self.ledger();
            let said = ledger.overrides.as_deref();
            said.is_some_and(|said| !said.hooks.is_empty())
        };
        !self.shared().settings.hooks.is_empty() || (self.is_tuned() && overrides())
    }

    /// What is to be awaited before the release, the outermost layer's first.
    pub(crate) fn hooks(&self) -> Vec<Arc<Hook>> {
        let ledger = self.ledger();
        let overrides = ledger.overrides.iter().flat_map(|said| &said.hooks);
        let hooks = self.shared().settings.hooks.iter().chain(overrides);
        hooks.cloned().collect()
    }
}

impl Ledger {
    pub(super) fn window_settings(&self, ours: &Settings) -> WindowSettings {
        match &self.overrides {
            Some(said) => said.window.over(ours.window),
            None => ours.window,
        }
    }
}
