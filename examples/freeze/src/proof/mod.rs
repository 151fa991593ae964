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
//! The control is the same instance without the layer. It must lose most of its work. Otherwise the instance was not
//! stopped in time, and the result with the layer proves nothing.

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
}

impl Setup {
    /// Returns the setup as an argument of an instance.
    fn argument(self) -> &'static str {
        match self {
            Setup::Layer => "layer",
            Setup::Control => "control",
        }
    }

    fn from_argument(argument: &str) -> Option<Self> {
        [Setup::Layer, Setup::Control]
            .into_iter()
            .find(|setup| setup.argument() == argument)
    }
}

/// The layer and its control over one protocol.
#[derive(Debug)]
pub(crate) struct Proof {
    pub(crate) layer: Tally,
    pub(crate) control: Tally,
}

impl Proof {
    /// Runs `rounds` rounds with the layer and as many without it. Calls `after_round` after each round.
    pub(crate) fn run(
        protocol: Protocol,
        rounds: u32,
        after_round: &dyn Fn(),
    ) -> Result<Self, BoxError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            Ok(Self {
                layer: round::tally(protocol, Setup::Layer, rounds, after_round).await?,
                control: round::tally(protocol, Setup::Control, rounds, after_round).await?,
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
