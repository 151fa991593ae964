//! The row of the whole server.

use crate::app::App;
use crate::in_memory::instructions_a_request;
use crate::row::{Goal, Reading, Row};
use crate::{BoxError, tool};

/// A few are enough: instructions hardly differ from run to run.
const READINGS: usize = 3;

pub(crate) fn row() -> Result<Row, BoxError> {
    tool::ensure("valgrind")?;
    let mut readings = Vec::with_capacity(READINGS);
    for _ in 0..READINGS {
        readings.push(Reading {
            ours: instructions_a_request(Some(App::TaskTracker))?,
            theirs: instructions_a_request(Some(App::AddExtension))?,
        });
    }
    Ok(Row {
        work: "a request without tasks, whole axum server",
        unit: "instructions",
        with: App::AddExtension.name(),
        readings,
        goal: Goal::Times(1.08),
    })
}
