//! What a body does, and what its `size_hint` and `is_end_stream` return.

use super::task::Task;

#[derive(Debug, Clone)]
pub(crate) struct Script {
    pub(crate) steps: Vec<Step>,
    pub(crate) ending: Ending,
    pub(crate) length: Length,
    /// Whether `is_end_stream` is true at the end; otherwise it is always false.
    pub(crate) shows_its_end: bool,
}

#[derive(Debug, Clone)]
pub(crate) enum Step {
    Data(usize),
    /// It is not ready for so long.
    Wait(u64),
    /// It is not ready, and wakes itself.
    Yield,
    Spawn(Task),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    EndMark,
    Trailers,
    Error,
}

/// Where the length is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Length {
    Unknown,
    Hint,
    /// A hint of at least, and at most.
    Range,
    /// `content-length`, off by so many bytes.
    Header(i8),
    HintAndHeader,
    /// A hint that is off by so many bytes.
    WrongHint(i8),
    /// Two fields of `content-length` that contradict each other.
    TwoHeaders,
}

impl Script {
    /// The bytes that the body will yield, if it is read to its end.
    pub(crate) fn total(&self) -> u64 {
        let bytes = |step: &Step| match step {
            Step::Data(len) => *len as u64,
            Step::Wait(_) | Step::Yield | Step::Spawn(_) => 0,
        };
        self.steps.iter().map(bytes).sum()
    }

    pub(crate) fn tasks(&self) -> impl Iterator<Item = &Task> {
        self.steps.iter().filter_map(|step| match step {
            Step::Spawn(task) => Some(task),
            Step::Data(_) | Step::Wait(_) | Step::Yield => None,
        })
    }

    /// The exact length that the hint has before the first poll.
    pub(crate) fn initial_hint(&self) -> Option<u64> {
        let total = self.total();
        match self.length {
            Length::Hint | Length::HintAndHeader => Some(total),
            Length::WrongHint(by) => Some(total.saturating_add_signed(by.into())),
            Length::Unknown | Length::Range | Length::Header(_) | Length::TwoHeaders => None,
        }
    }

    /// Whether its hint is right, to the byte.
    pub(crate) fn is_exact(&self) -> bool {
        matches!(self.length, Length::Hint | Length::HintAndHeader)
    }

    /// The length that a server has: RFC 9110, section 8.6. Like hyper, it reads the hint first.
    pub(crate) fn known_length(&self) -> Option<u64> {
        self.initial_hint().or(match self.length {
            Length::Header(by) => Some(self.total().saturating_add_signed(by.into())),
            _ => None,
        })
    }

    /// The fields of `content-length`.
    pub(crate) fn headers(&self) -> Vec<u64> {
        match self.length {
            Length::Header(_) | Length::HintAndHeader => self.known_length().into_iter().collect(),
            Length::TwoHeaders => vec![self.total(), self.total() + 1],
            Length::Unknown | Length::Hint | Length::WrongHint(_) | Length::Range => Vec::new(),
        }
    }

    /// Whether `is_end_stream` is true with these steps left.
    pub(crate) fn is_end_known(&self, left: &[Step]) -> bool {
        self.shows_its_end && left.is_empty() && self.ending == Ending::EndMark
    }
}
