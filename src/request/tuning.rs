//! What was set for the request: by its layers, and by itself.

use std::sync::Arc;
#[cfg(feature = "http")]
use std::sync::PoisonError;

use super::Request;
#[cfg(feature = "http")]
use super::Shared;
use super::state::State;
#[cfg(feature = "http")]
use crate::settings::{AnswerSettings, Hold};
use crate::settings::{Hook, Settings, Unfinished, WindowSettings};

/// How things stand when the handler has answered.
#[cfg(feature = "http")]
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answered {
    /// Nothing was spawned and nothing was set for this request alone, and its layer waits for nothing but tasks.
    pub(crate) is_idle: bool,
    pub(crate) settings: AnswerSettings,
    /// A task is alive that the response fails with.
    pub(crate) required_unfinished: bool,
    /// Something is to be awaited before the release.
    pub(crate) has_hooks: bool,
}

impl Request {
    /// Sets something for this request alone, and wakes its drain to look at it.
    pub(crate) fn overlay(self: &Arc<Self>, settings: &Settings) {
        if settings.is_silent() {
            return;
        }
        let effects = self.lock().overlay(settings, &self.shared().settings);
        effects.carry_out(self);
    }

    /// Returns how things stand when the handler has answered. In most cases the owner has the only reference, and needs
    /// no lock.
    #[cfg(feature = "http")]
    #[inline]
    pub(crate) fn answered(self: &mut Arc<Self>) -> Answered {
        if let Some(own) = Arc::get_mut(self) {
            let state = own.state.get_mut().unwrap_or_else(PoisonError::into_inner);
            let has_tracker = own.tracker.get().is_some();
            return answered(state, own.shared.as_deref(), has_tracker);
        }
        let has_tracker = self.tracker().is_some();
        answered(&self.lock(), self.shared.as_deref(), has_tracker)
    }

    pub(crate) fn at_disconnect(&self) -> Unfinished {
        let settings = window_settings(&self.lock(), &self.shared().settings);
        settings.at_disconnect.unwrap_or_default()
    }

    /// Whether something is to be awaited before the release.
    pub(crate) fn has_hooks(&self) -> bool {
        let state = self.lock();
        let overrides = state.overrides();
        !self.shared().settings.hooks.is_empty() || overrides.is_some_and(|o| !o.hooks.is_empty())
    }

    /// What is to be awaited before the release, the outermost layer's first.
    pub(crate) fn hooks(&self) -> Vec<Arc<Hook>> {
        let state = self.lock();
        let overrides = state.overrides().into_iter().flat_map(|o| &o.hooks);
        let hooks = self.shared().settings.hooks.iter().chain(overrides);
        hooks.cloned().collect()
    }
}

#[cfg(feature = "http")]
#[inline]
fn answered<H>(state: &State<H>, shared: Option<&Shared>, has_tracker: bool) -> Answered {
    let ours = shared.map(|shared| &shared.settings);
    let mut answered = Answered {
        is_idle: false,
        settings: ours.map_or_else(AnswerSettings::default, |ours| ours.answer),
        required_unfinished: state.required() > 0,
        has_hooks: ours.is_some_and(|ours| !ours.hooks.is_empty()),
    };
    if let Some(overrides) = state.overrides() {
        answered.settings = overrides.answer.over(answered.settings);
        answered.has_hooks |= !overrides.hooks.is_empty();
    } else {
        answered.is_idle = !has_tracker
            && !state.has_spawned()
            && !answered.has_hooks
            && !matches!(answered.settings.hold, Some(Hold::Never | Hold::Required));
    }
    answered
}

pub(super) fn window_settings<H>(state: &State<H>, ours: &Settings) -> WindowSettings {
    match state.overrides() {
        Some(overrides) => overrides.window.over(ours.window),
        None => ours.window,
    }
}
