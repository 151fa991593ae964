//! The rows that are timed, on a current-thread runtime.

use crate::contenders::{add_extension, bare, join_set, ours, ours_free, ours_idle, task_tracker};
use crate::race::{READINGS, Race, Times, run};
use crate::row::{Goal, Reading, Row};

const JOIN_SET: &str = "`JoinSet` + timeout + `abort_all`";
const TASK_TRACKER: &str = "`TaskTracker` + timeout";

pub(crate) fn rows() -> Vec<Row> {
    let [idle, one, four, sixteen] = run([
        Race::new(4_000, || vec![ours_idle(), add_extension(), bare()]),
        Race::new(500, || vec![ours(1), join_set(1), task_tracker(1)]),
        Race::new(250, || {
            vec![ours(4), join_set(4), task_tracker(4), ours_free(4)]
        }),
        Race::new(80, || vec![ours(16), join_set(16), task_tracker(16)]),
    ]);
    let added = idle.map(|times| Reading {
        ours: times[0] - times[2],
        theirs: times[1] - times[2],
    });
    let one = |theirs| readings(&one, 0, theirs);
    let four = |ours, theirs| readings(&four, ours, theirs);
    let sixteen = |theirs| readings(&sixteen, 0, theirs);
    vec![
        row(
            "a request without tasks, added",
            "`AddExtensionLayer`",
            added,
            2.0,
        ),
        row("1 empty task", JOIN_SET, one(1), 1.0),
        row("4 empty tasks", JOIN_SET, four(0, 1), 0.9),
        row("16 empty tasks", JOIN_SET, sixteen(1), 0.9),
        row("1 empty task", TASK_TRACKER, one(2), 1.25),
        row("4 empty tasks", TASK_TRACKER, four(0, 2), 1.25),
        row("16 empty tasks", TASK_TRACKER, sixteen(2), 1.4),
        row("4 empty tasks by `spawn()`", JOIN_SET, four(3, 1), 0.9),
    ]
}

/// Of two contenders, by their places in the race.
fn readings(race: &[Times; READINGS], ours: usize, theirs: usize) -> [Reading; READINGS] {
    race.each_ref().map(|times| Reading {
        ours: times[ours],
        theirs: times[theirs],
    })
}

fn row(work: &'static str, with: &'static str, readings: [Reading; READINGS], at_most: f64) -> Row {
    Row {
        work,
        unit: "ns",
        with,
        readings: readings.into(),
        goal: Goal::Times(at_most),
    }
}
