//! The reports about tasks, and the observers that receive them.

mod drain_report;
mod limit;
mod list;
mod not_done;
mod observer;
mod outcome;
mod shutdown_report;
mod tally;
mod task;

pub use self::drain_report::DrainReport;
pub use self::limit::Limit;
pub use self::not_done::NotDone;
pub use self::observer::DrainObserver;
pub(crate) use self::observer::OnDrain;
pub use self::outcome::Outcome;
pub use self::shutdown_report::ShutdownReport;
pub(crate) use self::tally::{MAX_FAILURES, Tally};
pub use self::task::{LiveTask, TaskInfo, TaskState};
