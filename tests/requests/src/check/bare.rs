//! Checks that the layer changes nothing if there is nothing to wait for.

use tokio::time::Instant;

use crate::run::{Forecast, Run, View};

/// Both give the same frames at the same times, and the same forecasts of what is to come.
pub(crate) fn is_like_the_bare_handler(run: &Run, bare: &Run) {
    let View {
        head,
        head_failed,
        failed,
        items,
        finished,
        past_end: _,
    } = &run.view;
    let after = |at: Instant, run: &Run| at.duration_since(run.arrived);
    assert_eq!(
        head.map(|head| after(head.at, run)),
        bare.view.head.map(|head| after(head.at, bare)),
        "the head's time"
    );
    let ends = (bare.view.failed, bare.view.finished);
    assert_eq!((*failed, *finished), ends, "failed, finished");
    assert!(!head_failed, "nothing has failed");
    assert_eq!(items.len(), bare.view.items.len(), "the number of frames");
    for (read, bare_read) in items.iter().zip(&bare.view.items) {
        let item = &read.item;
        assert_eq!(*item, bare_read.item, "the frame");
        assert_eq!(
            after(read.seen.at, run),
            after(bare_read.seen.at, bare),
            "the time of {item:?}"
        );
        let Forecast { hint, is_end } = &read.forecast;
        assert_eq!(
            *is_end, bare_read.forecast.is_end,
            "the end before {item:?}"
        );
        let bare_hint = &bare_read.forecast.hint;
        // After a foretold end the inner body may be gone, and the hint may be better than its own.
        let is_over = *is_end && hint.exact() == Some(0);
        assert!(
            is_over || (hint.lower(), hint.upper()) == (bare_hint.lower(), bare_hint.upper()),
            "{hint:?}, and not {bare_hint:?}, before {item:?}"
        );
    }
    assert!(run.calls.reports.is_empty(), "nothing was spawned");
}
