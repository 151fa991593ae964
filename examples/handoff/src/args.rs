//! The command line.

use std::time::Duration;

use clap::Parser;

/// A shop whose late receipts are handed off to a durable queue.
#[derive(Debug, Clone, Parser)]
#[command(version)]
pub struct Args {
    /// The port of the shop, on the loopback interface; 0 takes a free one.
    #[arg(long, default_value_t = 3000)]
    pub port: u16,
    /// Where the orders and the queue are: `sqlite://PATH` or `postgres://..`.
    #[arg(long, default_value = "sqlite://handoff.db")]
    pub store: String,
    /// The URL of the mail service. By default the program starts a stand-in for it.
    #[arg(long)]
    pub mail: Option<String>,
    /// How long the stand-in takes for each mail, in milliseconds.
    #[arg(long, default_value_t = 200)]
    pub mail_ms: u64,
    /// How long a response waits for its receipt, in milliseconds.
    #[arg(long, default_value_t = 1000)]
    pub drain_ms: u64,
    /// How much of that time is kept free for hand-offs, in milliseconds [default: a quarter of it].
    #[arg(long)]
    pub grace_ms: Option<u64>,
    /// Runs the worker alone, without the shop.
    #[arg(long, conflicts_with = "no_worker")]
    pub worker_only: bool,
    /// Runs the shop alone, without a worker.
    #[arg(long)]
    pub no_worker: bool,
    /// Hands nothing off, to show what is lost then.
    #[arg(long)]
    pub no_hand_off: bool,
}

impl Args {
    /// Returns how long a response waits for its receipt.
    pub fn drain_timeout(&self) -> Duration {
        Duration::from_millis(self.drain_ms)
    }

    /// Returns how much of that time is kept free for hand-offs, if it was set.
    pub fn hand_off_grace(&self) -> Option<Duration> {
        self.grace_ms.map(Duration::from_millis)
    }
}
