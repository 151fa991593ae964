//! The handle of a whole process, and the shutdown.

mod shutdown;
mod tracker_handle;

pub use self::tracker_handle::TrackerHandle;
