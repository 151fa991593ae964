//! What was set for the request: by its layers, and by itself.

use std::sync::Arc;

use super::Request;
#[cfg(feature = "http")]
use super::Shared;
use super::state::State;
#[cfg(feature = "http")]
use crate::settings::{AnswerSettings, Hold};
use crate::settings::{Hook, Settings, Unfinished, WindowSettings};

/// How things stand when the handler has answered.
#[cfg(feature = "http")]
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Answered {
    /// Nothing was spawned and nothing was set for this request alone, and its layer waits for nothing but tasks.
    pub(crate) is_idle: bool,
    pub(crate) settings: AnswerSettings,
    /// A task is alive that is waited for, without those in the tokio-util tracker.
    pub(crate) is_busy: bool,
    /// A task is alive that the response fails with.
    pub(crate) required_unfinished: bool,
    /// Something is to be awaited before the release.
    pub(crate) has_hooks: bool,
}

impl Request {
    /// Sets something for this request alone, and wakes its drain to look at it.
    pub(crate) fn overlay(self: &Arc<Self>, settings: &Settings) {
        if settings.is_empty() {
            return;
        }
        let effects = self.lock().overlay(settings, &self.shared().settings);
        effects.carry_out(self);
    }

    /// Whether its owner has the only reference, and finds nothing to wait for and nothing that was set: the ordinary
    /// case, without a lock.
    #[cfg(feature = "http")]
    #[inline]
    pub(crate) fn is_unused(self: &mut Arc<Self>) -> bool {
        Arc::get_mut(self).is_some_and(|own| {
            let state = own.state.get_mut();
            own.tracker.get().is_none() && is_idle(state, own.shared.as_deref())
        })
    }

    /// Returns how things stand when the handler has answered.
    #[cfg(feature = "http")]
    #[inline]
    pub(crate) fn answered(&self) -> Answered {
        let has_tracker = self.tracker().is_some();
        answered(&self.lock(), self.shared(), has_tracker)
    }

    pub(crate) fn at_disconnect(&self) -> Unfinished {
        let settings = window_settings(&self.lock(), &self.shared().settings);
        settings.at_disconnect.unwrap_or_default()
    }

    /// Whether something is to be awaited before the release.
    pub(crate) fn has_hooks(&self) -> bool {
        let state = self.lock();
        let overrides = state.overrides();
        !self.shared().settings.drain.hooks.is_empty()
            || overrides.is_some_and(|o| !o.drain.hooks.is_empty())
    }

    /// What is to be awaited before the release, the outermost layer's first.
    pub(crate) fn hooks(&self) -> Vec<Arc<Hook>> {
        let state = self.lock();
        let overrides = state.overrides().into_iter().flat_map(|o| &o.drain.hooks);
        let hooks = self.shared().settings.drain.hooks.iter().chain(overrides);
        hooks.cloned().collect()
    }
}

/// Without a look at the tokio-util tracker.
#[cfg(feature = "http")]
#[inline]
fn is_idle<H>(state: &State<H>, shared: Option<&Shared>) -> bool {
    !state.has_spawned()
        && state.overrides().is_none()
        && shared.is_none_or(|shared| {
            let Settings { answer, drain } = &shared.settings;
            drain.hooks.is_empty() && !matches!(answer.hold, Some(Hold::Never | Hold::Required))
        })
}

#[cfg(feature = "http")]
#[inline]
fn answered<H>(state: &State<H>, shared: &Shared, has_tracker: bool) -> Answered {
    let Settings { answer, drain } = &shared.settings;
    let mut answered = Answered {
        is_idle: !has_tracker && is_idle(state, Some(shared)),
        settings: *answer,
        is_busy: state.waited_for() > 0,
        required_unfinished: state.required() > 0,
        has_hooks: !drain.hooks.is_empty(),
    };
    if let Some(overrides) = state.overrides() {
        answered.add(overrides);
    }
    answered
}

#[cfg(feature = "http")]
impl Answered {
    #[cold]
    fn add(&mut self, overrides: &Settings) {
        self.settings = overrides.answer.over(self.settings);
        self.has_hooks |= !overrides.drain.hooks.is_empty();
    }
}

#[inline]
pub(super) fn window_settings<H>(state: &State<H>, ours: &Settings) -> WindowSettings {
    match state.overrides() {
        Some(overrides) => overrides.drain.window.over(ours.drain.window),
        None => ours.drain.window,
    }
}
