//! The settings of a layer, a nested layer and a request, and how they merge: explicit settings win over inherited ones.

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

/// Everything that is set for a request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings {
    #[cfg(feature = "http")]
    pub(crate) answer: AnswerSettings,
    pub(crate) drain: DrainSettings,
}

impl Settings {
    /// Adds the settings of a layer further in, which win. Its callbacks are added, but for those that are here or in
    /// `known` already: the layer of a route is often made from that of its router.
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

    /// Whether nothing is set.
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
