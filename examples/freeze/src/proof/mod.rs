//! Does to a real process what a platform does to an instance between requests.
//!
//! A round runs as follows:
//!
//! 1. This executable starts itself as a new instance, which serves real connections on the loopback.
//! 2. The client places orders. Each order causes work that is not done when the handler answers.
//! 3. When the last byte of the last answer is read, the instance is stopped.
//! 4. The instance is killed while it is stopped.
//! 5. The work of every acknowledged order must be on disk.
//!
//! There are two proofs, each with a control. If the control does not lose most of its work, the instance was not stopped
//! in time, and the proof proves nothing.
//!
//! | the work of an order | the instance | its control |
//! |---|---|---|
//! | ends in time | with the layer | without the layer |
//! | takes longer than the drain timeout | with the layer, and a hand-off into a file | with the layer |

mod client;
mod instance;
mod order;
mod round;
mod server;
mod tally;

use std::error::Error;

pub(crate) use self::server::serve_if_asked;
pub(crate) use self::tally::Tally;

type BoxError = Box<dyn Error + Send + Sync>;

/// The least number of acknowledged orders for which a proof counts.
const ENOUGH: usize = 500;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// One connection for each order.
    Http1,
    /// A few connections, with one stream for each order.
    Http2,
}

impl Protocol {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Protocol::Http1 => "HTTP/1",
            Protocol::Http2 => "HTTP/2",
        }
    }
}

/// How the instance spawns the work of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Setup {
    /// `tower_task_tracker::spawn`, below a `TaskTrackerLayer`.
    Layer,
    /// `tokio::spawn`, and no layer.
    Control,
    /// Work that takes longer than the drain timeout, with a hand-off into a file.
    HandOff,
    /// The same work, without a hand-off.
    NoHandOff,
}

impl Setup {
    /// Returns the setup as an argument of an instance.
    fn argument(self) -> &'static str {
        match self {
            Setup::Layer => "layer",
            Setup::Control => "control",
            Setup::HandOff => "hand-off",
            Setup::NoHandOff => "no-hand-off",
        }
    }

    fn from_argument(argument: &str) -> Option<Self> {
        let all = [
            Setup::Layer,
            Setup::Control,
            Setup::HandOff,
            Setup::NoHandOff,
        ];
        all.into_iter().find(|setup| setup.argument() == argument)
    }
}

/// How long the work of an order takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// It ends in time.
    InTime,
    /// It takes longer than the drain timeout.
    Late,
}

impl Work {
    /// Returns the setup that must lose nothing, and its control.
    fn setups(self) -> (Setup, Setup) {
        match self {
            Work::InTime => (Setup::Layer, Setup::Control),
            Work::Late => (Setup::HandOff, Setup::NoHandOff),
        }
    }
}

/// An instance that must lose nothing, and its control, over one protocol.
#[derive(Debug)]
pub(crate) struct Proof {
    pub(crate) layer: Tally,
    pub(crate) control: Tally,
}

impl Proof {
    /// Runs `rounds` rounds, and as many of the control. Calls `after_round` after each round.
    pub(crate) fn run(
        protocol: Protocol,
        work: Work,
        rounds: u32,
        after_round: &dyn Fn(),
    ) -> Result<Self, BoxError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (layer, control) = work.setups();
        runtime.block_on(async {
            Ok(Self {
                layer: round::tally(protocol, layer, rounds, after_round).await?,
                control: round::tally(protocol, control, rounds, after_round).await?,
            })
        })
    }

    /// Returns `Ok` if the layer lost nothing and the control lost most, and otherwise the reason.
    pub(crate) fn verdict(&self) -> Result<(), String> {
        let Self { layer, control } = self;
        for tally in [layer, control] {
            if tally.acknowledged() < ENOUGH {
                return Err(format!("fewer than {ENOUGH} orders are no proof: {tally}"));
            }
        }
        if layer.lost > 0 {
            return Err(format!("acknowledged orders were lost: {layer}"));
        }
        if layer.early > 0 {
            return Err(format!("answers ended before their work: {layer}"));
        }
        if control.lost * 2 <= control.acknowledged() {
            return Err(format!(
                "the control kept half of its work, so the freeze proves nothing: {control}"
            ));
        }
        Ok(())
    }
}
