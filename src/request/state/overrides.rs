//! What is set for one request alone.

use std::sync::Arc;

use super::State;
use crate::report::DrainObserver;
use crate::request::effects::Effects;
use crate::request::limits::Limits;
use crate::settings::{Settings, TaskSpans};

impl<H> State<H> {
    #[inline]
    pub(crate) fn overrides(&self) -> Option<&Settings> {
        self.rare.as_ref()?.overrides.as_ref()
    }

    pub(crate) fn limits(&self) -> Option<&Limits> {
        Some(&self.rare.as_ref()?.limits)
    }

    pub(crate) fn limits_mut(&mut self) -> &mut Limits {
        &mut self.rare.get_or_insert_default().limits
    }

    /// Returns the observers of nested layers.
    pub(crate) fn observers(&self) -> Vec<Arc<dyn DrainObserver>> {
        let overrides = self.overrides();
        overrides.map_or_else(Vec::new, |overrides| overrides.drain.observers.clone())
    }

    pub(crate) fn is_observed(&self) -> bool {
        let overrides = self.overrides();
        overrides.is_some_and(|overrides| !overrides.drain.observers.is_empty())
    }

    /// Applies settings to this request alone, and wakes the wait. `known`: the settings of the layer of the request,
    /// whose hooks and observers are not added again.
    pub(crate) fn overlay(&mut self, settings: &Settings, known: &Settings) -> Effects<H> {
        let rare = self.rare.get_or_insert_default();
        let overrides = rare.overrides.get_or_insert_default();
        overrides.overlay(settings, known);
        if let Some(task_spans) = settings.drain.task_spans {
            self.task_spans = task_spans;
        }
        self.wake()
    }

    pub(crate) fn set_task_spans(&mut self, spans: TaskSpans) {
        self.task_spans = spans;
    }
}
