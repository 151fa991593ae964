//! What a platform does to an instance between requests, done to a real process.
//!
//! An instance is this very executable, started anew for each round. It serves real connections
//! on the loopback; every order that it takes has work behind it that is not done when the handler
//! answers. The moment the last byte of a round's last answer is read the instance is stopped, and
//! then it is killed while it is stopped. What it had acknowledged must be on disk.
//!
//! The control is the same instance without the layer. It has to lose most of its work: otherwise
//! the instance was not stopped in time, and the other figure is worth nothing.

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
    /// A connection for each order.
    Http1,
    /// A few connections, and a stream for each order.
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

/// What the instance spawns the work of an order with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Setup {
    /// `tower_task_tracker::spawn`, below a `TaskTrackerLayer`.
    Layer,
    /// `tokio::spawn`, and no layer.
    Control,
}

impl Setup {
    /// As an argument of an instance.
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
    /// Runs as many rounds with the layer as without, and calls `after_round` after each of them.
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

    /// Whether the layer lost nothing where the control lost most; if not, why not.
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
