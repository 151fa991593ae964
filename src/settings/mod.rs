//! The settings of a layer, a nested layer and a request. When they are merged, explicit settings win over inherited
//! ones.

#[cfg(feature = "http")]
mod answer;
mod drain_settings;
#[cfg(feature = "http")]
mod hold;
mod task_spans;
mod unfinished;
mod window;

#[cfg(feature = "http")]
pub(crate) use self::answer::AnswerSettings;
pub use self::drain_settings::DrainSettings;
pub(crate) use self::drain_settings::{Hook, short_hands};
#[cfg(feature = "http")]
pub use self::hold::Hold;
pub use self::task_spans::TaskSpans;
pub use self::unfinished::Unfinished;
pub(crate) use self::window::{DEFAULT_DRAIN_TIMEOUT, WindowSettings};

/// All settings of a request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings {
    #[cfg(feature = "http")]
    pub(crate) answer: AnswerSettings,
    pub(crate) drain: DrainSettings,
}

impl Settings {
    /// Merges the settings of a nested layer, which win. Its callbacks are added, except for those that are here or in
    /// `known` already: the layer of a route is often a clone of the layer of its router.
    pub(crate) fn overlay(&mut self, inner: &Settings, known: &Settings) {
        let Settings {
            #[cfg(feature = "http")]
            answer,
            drain,
        } = inner;
        #[cfg(feature = "http")]
        {
            self.answer = answer.over(self.answer);
        }
        self.drain.overlay(drain, &known.drain);
    }

    /// Returns true if nothing is set.
    pub(crate) fn is_empty(&self) -> bool {
        let Settings {
            #[cfg(feature = "http")]
            answer,
            drain,
        } = self;
        #[cfg(feature = "http")]
        if *answer != AnswerSettings::default() {
            return false;
        }
        drain.is_empty()
    }
}

impl From<DrainSettings> for Settings {
    fn from(drain: DrainSettings) -> Self {
        Self {
            #[cfg(feature = "http")]
            answer: AnswerSettings::default(),
            drain,
        }
    }
}
