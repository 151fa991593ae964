//! The rows that are timed, on a current-thread runtime.

use tower::Layer;
use tower_task_tracker::TaskTrackerLayer;

use crate::clock::clock;
use crate::contender::Contender;
use crate::contenders::{add_extension, bare, join_set, ours, ours_free, ours_idle, task_tracker};
use crate::frames::stream;
use crate::race::{READINGS, Race, Times, run};
use crate::row::{Goal, Reading, Row};

const JOIN_SET: &str = "`JoinSet` + timeout + `abort_all`";
const TASK_TRACKER: &str = "`TaskTracker` + timeout";

/// The number of frames of a streamed body.
const FRAMES: usize = 1_000;

#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) rows: Vec<Row>,
    /// The time of one clock read, in nanoseconds.
    pub(crate) clock: f64,
}

pub(crate) fn measure() -> Measured {
    let [idle, one, four, sixteen, frames] = run([
        Race::new(4_000, || {
            vec![ours_idle(), add_extension(), bare(), clock()]
        }),
        Race::new(500, || vec![ours(1), join_set(1), task_tracker(1)]),
        Race::new(250, || {
            vec![ours(4), join_set(4), task_tracker(4), ours_free(4)]
        }),
        Race::new(80, || vec![ours(16), join_set(16), task_tracker(16)]),
        Race::new(30, || {
            let ours = TaskTrackerLayer::new().layer(stream(FRAMES));
            vec![Contender::new(ours), Contender::new(stream(FRAMES))]
        }),
    ]);
    let reads = idle.each_ref().map(|times| times[3] - times[2]);
    let clock = reads.iter().sum::<f64>() / reads.len() as f64;
    let frames = frames.map(|times| Reading {
        ours: times[0] / FRAMES as f64,
        theirs: times[1] / FRAMES as f64,
    });
    let added = idle.map(|times| Reading {
        ours: times[0] - times[2],
        theirs: times[1] - times[2],
    });
    let one = |theirs| readings(&one, 0, theirs);
    let four = |ours, theirs| readings(&four, ours, theirs);
    let sixteen = |theirs| readings(&sixteen, 0, theirs);
    let rows = vec![
        row(
            "a request without tasks, added",
            "`AddExtensionLayer`",
            added,
            2.0,
        ),
        row("1 empty task", JOIN_SET, one(1), 1.1),
        row("4 empty tasks", JOIN_SET, four(0, 1), 1.0),
        row("16 empty tasks", JOIN_SET, sixteen(1), 0.9),
        row("1 empty task", TASK_TRACKER, one(2), 1.25),
        row("4 empty tasks", TASK_TRACKER, four(0, 2), 1.25),
        row("16 empty tasks", TASK_TRACKER, sixteen(2), 1.4),
        row("4 empty tasks by `spawn()`", JOIN_SET, four(3, 1), 1.0),
        Row {
            work: "a streamed frame",
            unit: "ns",
            with: "the bare body",
            readings: frames.into(),
            goal: Goal::More(10.0),
        },
    ];
    Measured { rows, clock }
}

/// Returns the readings of two contenders, which are given by their places in the race.
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
