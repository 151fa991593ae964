//! Checks that the layer changes nothing if there is nothing to wait for.

use tokio::time::Instant;

use super::super::plan::Plan;
use super::super::run::Run;
use super::super::task::count;
use super::super::view::{Said, View};

pub(in super::super) fn has_nothing_to_wait_for(plan: &Plan) -> bool {
    let tasks = count(&plan.tasks) + plan.body.tasks();
    tasks == 0 && plan.anonymous.is_none() && plan.hook.is_none()
}

/// Frame by frame, at the same times, and with the same said of what is to come.
pub(in super::super) fn is_like_the_handler_alone(run: &Run, bare: &(Instant, View)) {
    let (arrived, bare) = bare;
    let View {
        head,
        head_failed,
        failed,
        items,
        finished,
    } = &run.view;
    let after = |at: Instant, arrived: Instant| at.duration_since(arrived);
    assert_eq!(
        head.map(|seen| after(seen.at, run.arrived)),
        bare.head.map(|seen| after(seen.at, *arrived)),
        "the head's time"
    );
    assert_eq!((*failed, *finished), (bare.failed, bare.finished));
    assert!(!head_failed, "nothing has failed");
    assert_eq!(items.len(), bare.items.len(), "the number of frames");
    for (read, bare) in items.iter().zip(&bare.items) {
        assert_eq!(read.item, bare.item);
        assert_eq!(
            after(read.seen.at, run.arrived),
            after(bare.seen.at, *arrived),
            "the time of {:?}",
            read.item
        );
        let Said { hint, is_end } = &read.said;
        assert_eq!(*is_end, bare.said.is_end, "before {:?}", read.item);
        let bare_hint = &bare.said.hint;
        // After a foretold end the inner body may be gone, and what is left is known better.
        let is_over = *is_end && hint.exact() == Some(0);
        assert!(
            is_over || (hint.lower(), hint.upper()) == (bare_hint.lower(), bare_hint.upper()),
            "{hint:?}, and not {bare_hint:?}, before {:?}",
            read.item
        );
    }
    assert!(run.told.reports.is_empty(), "nothing was spawned");
}
