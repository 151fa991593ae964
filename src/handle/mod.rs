//! The view of the whole process, and its shutdown.

mod shutdown;
mod tracker_handle;

pub use self::tracker_handle::TrackerHandle;
