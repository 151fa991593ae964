//! A model of whole requests. It makes a plan of a request from bytes, plays it through the layer in virtual time, and
//! checks what comes out. Two generators supply the bytes: the property tests in `tests/properties/requests.rs`, and
//! the fuzzer in `tests/fuzz`.
//!
//! Whatever the handler, its body, its tasks and its client do:
//!
//! * Frames come out unchanged and in order. If no task is alive, they come out without delay.
//! * Nothing ends before the tasks are done or the window has closed, and nothing ends later.
//! * Each task is reported once, with the state it ended in. Each request that spawned a task has one report.
//! * A success is never claimed for failed required work. No client stops a task that the policy lets run on.
//! * If there is nothing to wait for, the response is that of the handler without the layer.
//!
//! | module | what it has |
//! |---|---|
//! | `choices` | choices, read from bytes |
//! | `plan` | a plan of a request, as data: `task`, `script` (of a body); `choose` makes a plan from choices |
//! | `world` | what a plan does inside: its tasks, counted by `alive`; its `body`, which yields an `item` at a time; the facts |
//! | `run` | a plan played with and without the layer: the `client` fills its `view`, an observer its `calls` |
//! | `clock` | virtual time |
//! | `check` | what holds for every run: `counts`, `hand_offs`, `frames`, `times` (by `ends`), `dropped` bodies, `bare` handlers |

mod check;
mod choices;
pub mod clock;
mod plan;
mod run;
mod world;

pub use self::plan::Plan;

/// Plays one request.
///
/// # Panics
///
/// If a guarantee does not hold. A task that panics by plan uses `resume_unwind`, which does not call the panic hook.
pub fn play(plan: &Plan) {
    let run = clock::run(run::with_layer(plan));
    check::check(plan, &run);
    if plan.has_nothing_to_wait_for() {
        let bare = clock::run(run::without_layer(plan));
        check::is_like_the_bare_handler(&run, &bare);
    }
}
