//! How much memory is in use, and a wait until it has fallen back.

use std::time::{Duration, Instant};

use crate::ALLOCATOR;

/// What a round may leave behind, whatever its size: less than six bytes for each of its requests,
/// and room for what the runtime keeps in reserve.
pub(crate) const TOLERANCE: usize = 64 * 1024;

/// More than anything here takes, however busy the machine is.
const LIMIT: Duration = Duration::from_secs(60);

/// Bytes that are allocated now, by the whole process.
pub(crate) fn live_bytes() -> usize {
    let stats = ALLOCATOR.stats();
    // The two are read one after the other.
    stats
        .bytes_allocated
        .saturating_sub(stats.bytes_deallocated)
}

/// Waits for something that wakes nothing.
#[track_caller]
pub(crate) fn until(what: &str, now: impl Fn() -> Result<(), String>) {
    let start = Instant::now();
    while let Err(so_far) = now() {
        assert!(start.elapsed() < LIMIT, "{what}: {so_far}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Waits until a count is what it should be.
#[track_caller]
pub(crate) fn until_equal(what: &str, wanted: usize, count: impl Fn() -> usize) {
    until(what, || match count() {
        now if now == wanted => Ok(()),
        now => Err(format!("{now} of {wanted}")),
    });
}
