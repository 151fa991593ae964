//! What a body does, and what its `size_hint` and `is_end_stream` return.

use arbitrary::{Arbitrary, Unstructured};

use super::choices::short;
use super::task::{Task, count, wait_for_body};

#[derive(Debug, Clone, Arbitrary)]
pub(super) struct Script {
    #[arbitrary(with = steps)]
    pub(super) steps: Vec<Step>,
    #[arbitrary(with = ending)]
    pub(super) ending: Ending,
    #[arbitrary(with = length)]
    pub(super) length: Length,
    /// Whether `is_end_stream` tells the truth, or always says that it does not know.
    pub(super) knows_its_end: bool,
}

#[derive(Debug, Clone)]
pub(super) enum Step {
    Data(usize),
    /// It is not ready for so long.
    Wait(u64),
    /// It is not ready, and wakes itself.
    Yield,
    Spawn(Task),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    EndMark,
    Trailers,
    Error,
}

/// What is said of the length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    Unknown,
    Hint,
    /// A hint that is off by so many bytes.
    WrongHint(i8),
    /// A hint of at least, and at most.
    Range,
    /// `content-length`, off by so many bytes.
    Header(i8),
    HintAndHeader,
    /// Two fields of `content-length` that contradict each other.
    TwoHeaders,
}

impl Script {
    /// The bytes that the body will give, if it is read to its end.
    pub(super) fn total(&self) -> u64 {
        let bytes = |step: &Step| match step {
            Step::Data(len) => *len as u64,
            Step::Wait(_) | Step::Yield | Step::Spawn(_) => 0,
        };
        self.steps.iter().map(bytes).sum()
    }

    pub(super) fn tasks(&self) -> usize {
        let tasks = |step: &Step| match step {
            Step::Spawn(task) => count(std::slice::from_ref(task)),
            Step::Data(_) | Step::Wait(_) | Step::Yield => 0,
        };
        self.steps.iter().map(tasks).sum()
    }

    /// Whether a task that it spawns waits for its drop.
    pub(super) fn waits_for_itself(&self) -> bool {
        let waits = |step: &Step| match step {
            Step::Spawn(task) => wait_for_body(std::slice::from_ref(task)),
            Step::Data(_) | Step::Wait(_) | Step::Yield => false,
        };
        self.steps.iter().any(waits)
    }

    /// The exact length that the body speaks of before it is polled.
    pub(super) fn initial_hint(&self) -> Option<u64> {
        let total = self.total();
        match self.length {
            Length::Hint | Length::HintAndHeader => Some(total),
            Length::WrongHint(by) => Some(total.saturating_add_signed(by.into())),
            Length::Unknown | Length::Range | Length::Header(_) | Length::TwoHeaders => None,
        }
    }

    /// Whether its hint is right, to the byte.
    pub(super) fn is_exact(&self) -> bool {
        matches!(self.length, Length::Hint | Length::HintAndHeader)
    }

    /// The length that a server knows: RFC 9110, section 8.6, and what hyper asks first.
    pub(super) fn known_length(&self) -> Option<u64> {
        self.initial_hint().or(match self.length {
            Length::Header(by) => Some(self.total().saturating_add_signed(by.into())),
            _ => None,
        })
    }

    /// The fields of `content-length`.
    pub(super) fn headers(&self) -> Vec<u64> {
        match self.length {
            Length::Header(_) | Length::HintAndHeader => self.known_length().into_iter().collect(),
            Length::TwoHeaders => vec![self.total(), self.total() + 1],
            Length::Unknown | Length::Hint | Length::WrongHint(_) | Length::Range => Vec::new(),
        }
    }
}

fn steps(u: &mut Unstructured<'_>) -> arbitrary::Result<Vec<Step>> {
    let count = u.int_in_range(0..=6)?;
    (0..count).map(|_| step(u)).collect()
}

fn step(u: &mut Unstructured<'_>) -> arbitrary::Result<Step> {
    Ok(match u.int_in_range(0..=8)? {
        0..=2 => Step::Data(u.int_in_range(0..=4)?),
        3 => Step::Data(*u.choose(&[255, 16_384, 65_537])?),
        4 | 5 => Step::Wait(short(u)?),
        6 => Step::Yield,
        _ => Step::Spawn(u.arbitrary()?),
    })
}

fn ending(u: &mut Unstructured<'_>) -> arbitrary::Result<Ending> {
    use Ending::{EndMark, Error, Trailers};
    u.choose(&[EndMark, EndMark, Trailers, Trailers, Error])
        .copied()
}

fn length(u: &mut Unstructured<'_>) -> arbitrary::Result<Length> {
    Ok(match u.int_in_range(0..=8)? {
        0 | 1 => Length::Unknown,
        2 | 3 => Length::Hint,
        4 => Length::WrongHint(u.int_in_range(-2..=2)?),
        5 => Length::Range,
        6 => Length::Header(*u.choose(&[0, 0, 0, -2, -1, 1, 2])?),
        7 => Length::HintAndHeader,
        _ => Length::TwoHeaders,
    })
}
