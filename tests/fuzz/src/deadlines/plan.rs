//! A request with deadlines, as data made from the fuzzer's bytes.
//!
//! An input is text: one line for each field, then an empty line, then the settings as bytes. The first character of a
//! line selects the field, in upper or lower case; see [`Plan`].

use arbitrary::{Arbitrary, Unstructured};
use tower_task_tracker::Unfinished;

use super::span::Span;
use tower_task_tracker_requests::clock::ms;

/// What a client, the platform and the app say.
///
/// | line | what it is |
/// |---|---|
/// | `g1S` | `grpc-timeout: 1S` |
/// | `pwait=1` | `prefer: wait=1` |
/// | `l{"deadline":@1000}` | `x-amzn-lambda-context`; `@1000` is the instant in 1000 ms, as Unix time |
/// | `u1000` | so long after now, in Unix milliseconds, through `unix_millis` |
/// | `e10` | the environment's variable |
#[derive(Debug, Clone)]
pub struct Plan {
    pub(super) lines: Vec<Line>,
    pub(super) settings: Settings,
}

/// One of the fields, and whether its name is written in capitals.
#[derive(Clone)]
pub(super) struct Line {
    pub(super) field: Field,
    pub(super) is_loud: bool,
    pub(super) value: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    GrpcTimeout,
    Prefer,
    Lambda,
    UnixMillis,
    Environment,
}

/// Without any bytes: the defaults, a handler that answers at once, and a task of 30 s.
#[derive(Debug, Clone, Copy, Arbitrary)]
pub(super) struct Settings {
    #[arbitrary(with = task)]
    pub(super) task_takes: u64,
    #[arbitrary(with = |u: &mut Unstructured<'_>| u.int_in_range(0..=3_000))]
    pub(super) handler_takes: u64,
    /// `None` is the default.
    pub(super) drain_timeout: Option<Span>,
    #[arbitrary(with = unfinished)]
    pub(super) at_deadline: Unfinished,
    /// The margin of each source, and its `at_least`.
    pub(super) tuning: [(Span, Span); 5],
}

impl<'a> Arbitrary<'a> for Plan {
    fn arbitrary(u: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let input = u.bytes(u.len())?;
        let end = input.windows(2).position(|two| two == b"\n\n");
        let (text, settings) = match end {
            Some(end) => (&input[..end], &input[end + 2..]),
            None => (input, &[][..]),
        };
        let lines = text.split(|byte| *byte == b'\n').filter_map(Line::read);
        Ok(Self {
            lines: lines.take(8).collect(),
            settings: Unstructured::new(settings).arbitrary()?,
        })
    }
}

impl Line {
    fn read(line: &[u8]) -> Option<Self> {
        let (name, value) = line.split_first()?;
        Some(Self {
            field: match name.to_ascii_lowercase() {
                b'g' => Field::GrpcTimeout,
                b'p' => Field::Prefer,
                b'l' => Field::Lambda,
                b'u' => Field::UnixMillis,
                b'e' => Field::Environment,
                _ => return None,
            },
            is_loud: name.is_ascii_uppercase(),
            value: value.to_vec(),
        })
    }
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let value = self.value.escape_ascii();
        write!(f, "{:?} (loud: {}): {value}", self.field, self.is_loud)
    }
}

fn task(u: &mut Unstructured<'_>) -> arbitrary::Result<u64> {
    // The plainest is longer than the default of the layer.
    Ok(match u.int_in_range(0..=3)? {
        0 => 30_000,
        1 => u.int_in_range(0..=200)?,
        2 => u.int_in_range(0..=30_000)?,
        _ => u.int_in_range(0..=100_000_000)?,
    })
}

fn unfinished(u: &mut Unstructured<'_>) -> arbitrary::Result<Unfinished> {
    Ok(match u.int_in_range(0..=2)? {
        0 => Unfinished::Continue,
        1 => Unfinished::Abort,
        _ => Unfinished::Cancel {
            grace: ms(u.int_in_range(0..=1_000)?),
        },
    })
}
