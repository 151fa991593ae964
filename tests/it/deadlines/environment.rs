//! `from_env`: a timeout in whole seconds, read from an environment variable.

use std::env;
use std::process::Command;
use std::time::Duration;

use tower_task_tracker::{Limit, Unfinished, deadline};

use super::{OWN, hold, hold_after, layer_with};
use crate::support::{paused_runtime, request};

/// The variable, its value, and the seconds that it stands for.
const VARIABLES: [(&str, &str, Option<u64>); 15] = [
    ("TTT_ONE", "1", Some(1)),
    ("TTT_MINUTES", "300", Some(300)),
    ("TTT_ZEROS", "0060", Some(60)),
    ("TTT_SPACES", " \t60 \n", Some(60)),
    ("TTT_EMPTY", "", None),
    ("TTT_BLANK", "  ", None),
    ("TTT_WORD", "soon", None),
    ("TTT_UNIT", "60s", None),
    ("TTT_FLOAT", "60.0", None),
    ("TTT_NEGATIVE", "-60", None),
    ("TTT_TWO", "60 60", None),
    ("TTT_ZERO", "0", None),
    ("TTT_HUGE", "18446744073709551615", None),
    ("TTT_HUGER", "18446744073709551616", None),
    ("TTT_DIGIT", "\u{0663}", None),
];

const LONG: &str = "TTT_LONG";

const UNSET: &str = "TTT_UNSET";

const IS_CHILD: &str = "TTT_IS_CHILD";

/// A process cannot set its own variables while others may read them: this test runs itself once
/// more, in a process that is given them.
#[test]
fn a_variable_has_whole_seconds_from_the_arrival_or_is_ignored() {
    if env::var_os(IS_CHILD).is_some() {
        let runtime = paused_runtime();
        return runtime.block_on(read_them());
    }
    let this =
        "deadlines::environment::a_variable_has_whole_seconds_from_the_arrival_or_is_ignored";
    let child = Command::new(env::current_exe().expect("this test's binary"))
        .args(["--exact", this, "--nocapture"])
        .env(IS_CHILD, "")
        .envs(VARIABLES.map(|(variable, value, _)| (variable, value)))
        .env(LONG, "9000000000")
        .env_remove(UNSET)
        .output()
        .expect("the child runs");
    let (out, err) = (
        String::from_utf8_lossy(&child.stdout),
        String::from_utf8_lossy(&child.stderr),
    );
    assert!(child.status.success(), "{out}{err}");
    assert!(out.contains("1 passed"), "it has found itself: {out}");
}

async fn read_them() {
    for (variable, value, seconds) in VARIABLES {
        assert_eq!(env::var(variable).as_deref(), Ok(value));
        let layer = layer_with(deadline::from_env(variable));
        let held = hold_after(Duration::from_millis(300), &layer, request()).await;
        let which = format!("{variable}={value}");
        match seconds.map(Duration::from_secs) {
            Some(timeout) => {
                assert_eq!(held.known, Some(timeout), "{which}");
                held.is_closed_by(Limit::Source(variable), timeout, which);
            }
            None => {
                assert_eq!(held.known, None, "{which} is no deadline");
                assert_eq!(held.report.closed_by, Some(Limit::DrainTimeout), "{which}");
            }
        }
    }
    let held = hold(&layer_with(deadline::from_env(UNSET)), request()).await;
    held.is_left_to_the_layer(UNSET);
    let held = hold(&layer_with(deadline::from_env(LONG)), request()).await;
    held.is_closed_by(Limit::DrainTimeout, OWN, "centuries do not make it longer");

    let source = deadline::from_env("TTT_MINUTES")
        .margin(Duration::from_secs(10))
        .named("platform");
    let held = hold(&layer_with(source), request()).await;
    let bound = Limit::Source("platform");
    held.is_closed_by(bound, Duration::from_secs(290), "300 s, less a margin");

    let layer = layer_with(deadline::from_env("TTT_ONE")).at_deadline(Unfinished::Abort);
    let held = hold(&layer, request()).await;
    assert_eq!(
        held.report.aborted, 1,
        "it is the platform's, which stops work"
    );
}
