//! What has to hold of every run.

use http::{Method, StatusCode};
use proptest::prelude::*;
use tokio::time::Instant;
use tower_task_tracker::{Hold, Outcome};

use super::plan::{Client, Ending, Length, Plan, Step};
use super::run::{Run, Seen};
use super::world::Item;
use crate::support::ms;

type Checked = Result<(), TestCaseError>;

pub(super) fn check(plan: &Plan, run: &Run) -> Checked {
    counts_add_up(plan, run)?;
    let Some(head) = run.head else {
        return Ok(());
    };
    frames_are_those_of_the_inner_body(plan, run)?;
    let (answered, alive_then) = run
        .world
        .facts()
        .answered
        .ok_or_else(|| TestCaseError::fail("a head without an answer"))?;
    let punctual = !matches!(plan.client, Client::IsSlow(_));

    // The head.
    if plan.hold == Hold::Never || alive_then == 0 {
        prop_assert_eq!(head.at, answered, "the head was held for nothing");
    } else if run.failed || ends_with_head(plan) || plan.hold == Hold::Head {
        is_end(plan, run, head, answered)?;
    } else if plan.hold == Hold::End || initial_hint(plan).is_none() {
        prop_assert_eq!(head.at, answered, "the head of a stream was held");
    } else if head.at != answered {
        is_end(plan, run, head, answered)?;
    }

    // The moment at which a server has sent everything.
    if plan.client == Client::IsServer && run.finished && plan.hold != Hold::Never {
        let (last, item_given) = match run.items.last() {
            Some((seen, _)) => (*seen, run.world.facts().given.last().map(|(at, _)| *at)),
            None => (head, None),
        };
        is_end(plan, run, last, item_given.unwrap_or(answered).max(head.at))?;
    }

    // The body, frame by frame.
    let mut left = initial_hint(plan).or(length_header(plan));
    let given = run.world.facts().given.clone();
    for (index, (seen, item)) in run.items.iter().enumerate() {
        // An end that the inner body foretold was ready with the item before.
        let given_item = given.get(index).or(given.last());
        let ready = given_item.map_or(head.at, |(at, _)| (*at).max(head.at));
        let ends = match (item, &mut left) {
            (Item::Data(data), Some(bytes)) if !data.is_empty() => {
                let fills = data.len() as u64 >= *bytes;
                *bytes = bytes.saturating_sub(data.len() as u64);
                if fills {
                    left = None;
                }
                fills
            }
            (Item::Data(_), _) => false,
            _ => true,
        };
        if plan.hold == Hold::Never || !ends {
            if punctual && index < given.len() {
                prop_assert_eq!(seen.at, ready, "item {} was held for nothing", index);
            }
        } else if punctual || seen.alive > 0 {
            is_end(plan, run, *seen, ready)?;
        }
    }
    Ok(())
}

/// Something ended at `seen` that was ready at `ready`: not before the tasks were done or the window
/// closed, and not later either.
fn is_end(plan: &Plan, run: &Run, seen: Seen, ready: Instant) -> Checked {
    let punctual = !matches!(plan.client, Client::IsSlow(_));
    if seen.alive == 0 {
        let since = seen.none_alive_since;
        let in_time = seen.at == ready || Some(seen.at) == since;
        prop_assert!(
            in_time,
            "held for nothing: {:?}, ready at {:?}",
            seen,
            ready
        );
        return Ok(());
    }
    let Some(timeout) = plan.drain_timeout.map(ms) else {
        return Err(TestCaseError::fail(format!("ended early: {seen:?}")));
    };
    let expired = run
        .log
        .reports()
        .iter()
        .any(|report| report.outcome == Outcome::DeadlineExceeded && report.drain >= timeout);
    prop_assert!(expired, "ended early, without a deadline: {:?}", seen);
    let (answered, _) = run.world.facts().answered.unwrap_or((ready, 0));
    prop_assert!(
        seen.at >= answered + timeout,
        "before any window could close"
    );
    if punctual {
        // A timer is at most a millisecond late. A window that has closed stays closed.
        prop_assert!(
            seen.at <= ready + timeout + ms(1),
            "past the deadline: {:?}",
            seen
        );
    }
    Ok(())
}

fn frames_are_those_of_the_inner_body(plan: &Plan, run: &Run) -> Checked {
    let facts = run.world.facts();
    let alive_then = facts.answered.is_some_and(|(_, alive)| alive > 0);
    if has_no_body(plan) && alive_then && plan.hold != Hold::Never {
        // No server sends it: it may have been dropped, for the sake of who feeds it.
        return Ok(());
    }
    let inner = facts.given.iter().map(|(_, item)| item);
    let inner: Vec<_> = inner.filter(|item| **item != Item::End).collect();
    let outer = run.items.iter().map(|(_, item)| item);
    let outer: Vec<_> = outer.filter(|item| **item != Item::End).collect();
    if run.finished && plan.client != Client::IsServer {
        prop_assert_eq!(&inner, &outer, "a frame was lost or made up");
        if !run.failed {
            let ending = run.items.last().map(|(_, item)| item.clone());
            let planned = match plan.body.ending {
                Ending::EndMark => Item::End,
                Ending::Trailers => Item::Trailers,
                Ending::Error => Item::Error,
            };
            prop_assert_eq!(ending, Some(planned));
        }
    } else {
        prop_assert!(inner.starts_with(&outer), "frames out of order");
    }
    Ok(())
}

fn counts_add_up(plan: &Plan, run: &Run) -> Checked {
    let reports = run.log.reports();
    let late = run.log.late_spawns().len();
    let spawned = run.world.facts().spawned;
    let (mut reported, mut stragglers, mut anonymous) = (0, 0, 0);
    if let Some(report) = reports.first() {
        reported = report.spawned;
        stragglers = report.stragglers.len();
        let counted = report.completed + report.panicked + report.aborted + stragglers;
        prop_assert_eq!(counted, reported, "{:?}", report);
        anonymous = report
            .stragglers
            .iter()
            .filter(|task| task.name.is_none())
            .count();
        prop_assert_eq!(report.troubled.len(), report.panicked + report.aborted);
        if plan.hold == Hold::Never {
            prop_assert_eq!(report.held, ms(0));
        }
        match report.outcome {
            Outcome::Drained => {
                prop_assert_eq!(stragglers, 0);
                let cut_off = !run.finished && !may_have_ended(plan, run);
                prop_assert!(!cut_off, "it was dropped before its end");
            }
            Outcome::DeadlineExceeded => prop_assert!(stragglers > 0),
            Outcome::Dropped => prop_assert!(!run.finished, "it was read to its end"),
            other => prop_assert!(false, "{:?}", other),
        }
    }
    prop_assert!(reports.len() <= 1, "{:?}", reports);
    prop_assert_eq!(reports.len(), usize::from(reported > 0));
    // The one in the tokio-util tracker is counted if it was seen alive.
    let seen = (reported + late).saturating_sub(spawned);
    prop_assert!(
        seen <= usize::from(plan.anonymous.is_some()),
        "told of twice"
    );
    prop_assert_eq!(reported + late - seen, spawned, "each task is told of once");
    prop_assert_eq!(run.log.detached_ends().len(), stragglers - anonymous + late);
    Ok(())
}

/// Whether a client that left could have had everything.
fn may_have_ended(plan: &Plan, run: &Run) -> bool {
    let bytes = |(_, item): &(Seen, Item)| match item {
        Item::Data(data) => data.len() as u64,
        _ => 0,
    };
    let read: u64 = run.items.iter().map(bytes).sum();
    let frames = plan.body.steps.iter();
    let frames = frames.filter(|step| matches!(step, Step::Data(_))).count();
    let foretold = plan.body.knows_its_end && run.world.facts().given.len() >= frames;
    let length = server_length(plan);
    run.head.is_some()
        && (ends_with_head(plan) || foretold || length.is_some_and(|length| read >= length))
}

fn has_no_body(plan: &Plan) -> bool {
    plan.method == Method::HEAD
        || matches!(
            plan.status,
            StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
        )
}

fn ends_with_head(plan: &Plan) -> bool {
    let script = &plan.body;
    let ends_at_once =
        script.knows_its_end && script.steps.is_empty() && script.ending == Ending::EndMark;
    let length = initial_hint(plan).or(length_header(plan));
    has_no_body(plan) || ends_at_once || length == Some(0)
}

/// The exact length that the body speaks of before it is polled.
fn initial_hint(plan: &Plan) -> Option<u64> {
    let total = plan.body.total();
    match plan.body.length {
        Length::Unknown | Length::Header => None,
        Length::Hint => Some(total),
        Length::WrongHint(by) => Some(total.saturating_add_signed(by.into())),
    }
}

/// The bytes after which an HTTP/1 server drops the body.
pub(super) fn server_length(plan: &Plan) -> Option<u64> {
    if has_no_body(plan) {
        return Some(0);
    }
    initial_hint(plan).or(length_header(plan))
}

fn length_header(plan: &Plan) -> Option<u64> {
    (plan.body.length == Length::Header).then(|| plan.body.total())
}
