//! Whole requests, of the model in `tests/requests`.

use crate::clock;

pub use tower_task_tracker_requests::Plan;

/// Plays one request.
///
/// # Panics
///
/// If a guarantee does not hold.
pub fn play(plan: &Plan) {
    clock::run(tower_task_tracker_requests::play(plan));
}
