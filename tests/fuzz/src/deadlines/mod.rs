//! Deadlines of all kinds: the client's in `grpc-timeout` and `prefer`, and the platform's. Whatever the fields
//! contain:
//!
//! * A source returns exactly the deadline that the specification of its field defines, to the nanosecond, less its
//!   margin. If the specification does not allow the value, the source returns none.
//! * The response is held until its task has ended or until the earliest limit, and no longer.
//! * A client's field never ends the task, and never makes the hold shorter than `at_least`.
//! * If no field can be understood, everything is as it is without the fields.

mod check;
mod limit;
mod meaning;
mod oracle;
mod plan;
mod prefer;
mod request;
mod run;
mod span;

use tokio::time::Instant;

use self::limit::{limits, read};
use self::meaning::Clocks;
use self::request::unix_now;
use tower_task_tracker_requests::clock;

pub use self::plan::Plan;

/// Asks the sources, and plays one request.
///
/// # Panics
///
/// If a guarantee does not hold.
pub fn play(plan: &Plan) {
    clock::run(async {
        let before = unix_now();
        let parts = plan.request(before);
        let arrived = Instant::now();
        let read = read(plan, &parts);
        let run = run::run(plan, &parts).await;
        let clocks = Clocks {
            arrived,
            unix: (before, unix_now()),
        };
        let Ok(limits) = limits(plan, &parts, clocks, read) else {
            return;
        };
        check::check(plan, arrived, &limits, &run);
        if limits.is_empty() {
            let without = Plan {
                lines: Vec::new(),
                settings: plan.settings,
            };
            let parts = without.request(before);
            assert_eq!(
                run,
                run::run(&without, &parts).await,
                "as without the fields"
            );
        }
    });
}
