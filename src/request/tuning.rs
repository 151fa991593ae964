//! The settings of one request: of its layers, and its own.

use std::sync::Arc;

use tokio::time::Instant;

use super::Request;
#[cfg(feature = "http")]
use super::Shared;
use super::hand_off::Which;
use super::limits::{Deadline, earliest};
use super::state::State;
use crate::deadline::SourceLimit;
use crate::report::Limit;
#[cfg(feature = "http")]
use crate::settings::{AnswerSettings, Hold};
use crate::settings::{DEFAULT_DRAIN_TIMEOUT, Hook, Settings, Unfinished, WindowSettings};
use crate::sync::AbortHandle;

/// The facts about a request when its handler has answered.
#[cfg(feature = "http")]
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Answered {
    /// True if nothing was spawned, nothing was set for this request alone, and its layer waits for nothing except
    /// tasks.
    pub(crate) is_idle: bool,
    pub(crate) settings: AnswerSettings,
    /// True if a task that is waited for is alive. Tasks in the tokio-util tracker do not count.
    pub(crate) is_busy: bool,
    /// True if a required task is alive.
    pub(crate) required_unfinished: bool,
    /// True if there are hooks.
    pub(crate) has_hooks: bool,
}

impl Request {
    /// Applies settings to this request alone, and wakes its wait to look at them.
    pub(crate) fn overlay(self: &Arc<Self>, settings: &Settings) {
        if settings.is_empty() {
            return;
        }
        let effects = self.lock().overlay(settings, &self.shared().settings);
        self.carry_out(effects);
    }

    /// Returns whether the owner has the only reference, there is nothing to wait for, and nothing was set. This is the
    /// ordinary case, and takes no lock.
    #[cfg(feature = "http")]
    #[inline]
    pub(crate) fn is_unused(self: &mut Arc<Self>) -> bool {
        Arc::get_mut(self).is_some_and(|own| {
            let state = own.state.get_mut();
            own.tracker.get().is_none() && is_idle(state, own.shared.as_deref())
        })
    }

    /// Returns the facts about the request. Called when the handler has answered.
    #[cfg(feature = "http")]
    #[inline]
    pub(crate) fn answered(&self) -> Answered {
        let has_tracker = self.tracker().is_some();
        answered(&self.lock(), self.shared(), has_tracker)
    }

    /// Returns the earliest limit at this moment. Returns `None` if there is none.
    pub(crate) fn deadline(&self) -> Option<Deadline> {
        let closes_at = self.process().closes_at();
        self.deadline_in(&self.lock(), closes_at)
    }

    /// Like [`deadline`](Self::deadline), under the lock. `closes_at`: the end of a shutdown that has begun.
    #[inline(always)]
    pub(super) fn deadline_in(
        &self,
        state: &State<AbortHandle>,
        closes_at: Option<Instant>,
    ) -> Option<Deadline> {
        deadline(state, &self.shared().settings, closes_at)
    }

    /// Adds the limits that a layer has when the request arrives at it. The layer may be nested. `arrived`: the moment
    /// of the arrival, if the layer has a total timeout.
    pub(crate) fn add_limits(self: &Arc<Self>, arrived: Option<Instant>, limits: Vec<SourceLimit>) {
        let effects = {
            let mut state = self.lock();
            state.limits_mut().add(arrived, limits);
            // A wait may be going on, because a task may have called this layer.
            state.wake()
        };
        self.carry_out(effects);
    }

    /// Returns what happens to unfinished tasks when the client leaves.
    pub(crate) fn at_disconnect(&self) -> Unfinished {
        let settings = window_settings(&self.lock(), &self.shared().settings);
        settings.at_disconnect.unwrap_or_default()
    }

    /// Returns whether there are hooks.
    pub(crate) fn has_hooks(&self) -> bool {
        let state = self.lock();
        let overrides = state.overrides();
        !self.shared().settings.drain.hooks.is_empty()
            || overrides.is_some_and(|o| !o.drain.hooks.is_empty())
    }

    /// Returns the hooks, in the order of the layers from the outermost to the innermost.
    pub(crate) fn hooks(&self) -> Vec<Arc<Hook>> {
        let state = self.lock();
        let overrides = state.overrides().into_iter().flat_map(|o| &o.drain.hooks);
        let hooks = self.shared().settings.drain.hooks.iter().chain(overrides);
        hooks.cloned().collect()
    }
}

/// Returns whether there is nothing to wait for and nothing was set. Does not look at the tokio-util tracker.
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

/// Returns the settings of the window: those of this request over those of its layer.
#[inline]
pub(super) fn window_settings<H>(state: &State<H>, ours: &Settings) -> WindowSettings {
    match state.overrides() {
        Some(overrides) => overrides.drain.window.over(ours.drain.window),
        None => ours.drain.window,
    }
}

/// Returns the earliest limit at this moment. `closes_at`: the end of a shutdown that has begun.
#[inline(always)]
fn deadline<H>(state: &State<H>, ours: &Settings, closes_at: Option<Instant>) -> Option<Deadline> {
    let settings = window_settings(state, ours);
    let unfinished = settings.at_deadline.unwrap_or_default();
    let timeout = settings.drain_timeout.unwrap_or(DEFAULT_DRAIN_TIMEOUT);
    let opened = state.window_opened_at();
    let drain = opened.zip(timeout).and_then(|(opened, timeout)| {
        // A moment beyond the range of the clock is no limit.
        let at = opened.checked_add(timeout)?;
        Some(Deadline::new(at, Limit::DrainTimeout, unfinished))
    });
    let limits = state.limits();
    if let (None, None) = (limits, closes_at) {
        return drain;
    }
    let hands_off = state.any_hand_off_due(Which::Awaited);
    earliest(drain, limits, opened, settings, closes_at, hands_off)
}
