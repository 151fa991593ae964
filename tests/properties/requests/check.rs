//! Checks that apply to every run.

use http::{Method, StatusCode};
use proptest::prelude::*;
use tokio::time::Instant;
use tower_task_tracker::{DrainReport, Hold, Limit, Outcome, Unfinished};

use super::gone;
use super::plan::{Client, Ending, Length, Plan, Step};
use super::run::{Run, Seen};
use super::world::Item;
use crate::support::ms;

type Checked = Result<(), TestCaseError>;

pub(super) fn check(plan: &Plan, run: &Run) -> Checked {
    counts_add_up(plan, run)?;
    only_what_the_plan_allows_was_stopped(plan, run)?;
    let Some(head) = run.head else {
        return Ok(());
    };
    frames_are_those_of_the_inner_body(plan, run)?;
    no_success_is_claimed_for_failed_work(plan, run)?;
    let answered = run
        .world
        .facts()
        .answered
        .ok_or_else(|| TestCaseError::fail("a head without an answer"))?;
    let punctual = !matches!(plan.client, Client::IsSlow(_));

    // The head.
    let failed_before = answered.required_failed && !run.failed;
    let required = plan.hold == Hold::Auto && answered.required_alive;
    let holds_nothing = match plan.hold {
        Hold::Never => true,
        Hold::Required => !answered.required_alive,
        _ => answered.alive == 0 && plan.hook.is_none(),
    };
    gone::before_the_head(plan, head, answered.at)?;
    if holds_nothing {
        prop_assert_eq!(head.at, answered.at, "the head was held for nothing");
    } else if matches!(plan.hold, Hold::Required | Hold::Head)
        || run.failed
        || ends_with_head(plan)
        || failed_before
    {
        is_end(plan, run, head, answered.at)?;
    } else if required {
        // After those a stream may go on.
        if head.no_required_since != Some(head.at) {
            is_end(plan, run, head, answered.at)?;
        }
    } else if plan.hold == Hold::End || initial_hint(plan).is_none() {
        prop_assert_eq!(head.at, answered.at, "the head of a stream was held");
    } else if head.at != answered.at {
        is_end(plan, run, head, answered.at)?;
    }

    // The moment at which a server has sent everything.
    if plan.client == Client::IsServer && run.finished && plan.hold != Hold::Never {
        let (last, item_given) = match run.items.last() {
            Some((seen, _)) => (*seen, run.world.facts().given.last().map(|(at, _)| *at)),
            None => (head, None),
        };
        is_end(
            plan,
            run,
            last,
            item_given.unwrap_or(answered.at).max(head.at),
        )?;
    }

    // The body, frame by frame.
    let mut left = initial_hint(plan).or(length_header(plan));
    let given = run.world.facts().given.clone();
    let mut before = head.at;
    for (index, (seen, item)) in run.items.iter().enumerate() {
        // An end that the inner body foretold was ready with the item before.
        let given_item = given.get(index).or(given.last());
        // It may have been taken ahead of its time.
        let ready = given_item.map_or(before, |(at, _)| (*at).max(before));
        before = seen.at;
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
        } else if punctual || (seen.alive > 0 && plan.hold != Hold::Required) {
            is_end(plan, run, *seen, ready)?;
            if punctual {
                gone::before_an_end(plan, *seen, ready, index, item)?;
            }
        }
    }
    Ok(())
}

/// Something ended at `seen` that was ready at `ready`: not before the tasks were done or the window
/// closed, and not later either.
fn is_end(plan: &Plan, run: &Run, seen: Seen, ready: Instant) -> Checked {
    let punctual = !matches!(plan.client, Client::IsSlow(_));
    let answered = run.world.facts().answered.map_or(ready, |a| a.at);
    let closed = deadline(plan, run, answered);
    let done = seen.alive == 0 && (plan.hook.is_none() || seen.hooked.is_some());
    let moments = [Some(ready), seen.none_alive_since, seen.hooked];
    if done && moments.contains(&Some(seen.at)) {
        return Ok(());
    }
    let moments = [Some(ready), seen.no_required_since];
    // An error is passed on a turn after the release: a required task that begins meanwhile is late.
    let waits_for_required = seen.required_alive && !seen.required_failed;
    if plan.hold == Hold::Required && !waits_for_required && moments.contains(&Some(seen.at)) {
        return Ok(());
    }
    let Some(closed) = closed else {
        return Err(TestCaseError::fail(format!("not in time: {seen:?}")));
    };
    // A hook alone is not reported.
    let expired = |report: &DrainReport| report.outcome == Outcome::DeadlineExceeded;
    let reports = run.log.reports();
    prop_assert!(
        reports.iter().any(expired) || (reports.is_empty() && plan.hook.is_some()),
        "without a deadline: {:?}",
        seen
    );
    // A window whose tasks were aborted closes when they are gone: in its last tenth.
    let aborts = match plan.at_deadline {
        Unfinished::Continue => ms(0),
        _ => closed.saturating_duration_since(answered) / 10,
    };
    let in_window = seen.at + aborts < closed;
    prop_assert!(!in_window, "before any window could close: {:?}", seen);
    if punctual {
        // A timer is at most a millisecond late. A window that has closed stays closed.
        let closed = deadline(plan, run, ready).unwrap_or(closed).max(ready);
        prop_assert!(seen.at <= closed + ms(1), "past the deadline: {:?}", seen);
    }
    Ok(())
}

/// When a window closes that opens at `opened`.
fn deadline(plan: &Plan, run: &Run, opened: Instant) -> Option<Instant> {
    let drain = plan.drain_timeout.map(|timeout| opened + ms(timeout));
    let total = plan.total_timeout.map(|timeout| run.arrived + ms(timeout));
    let client = plan.client_timeout.filter(|(timeout, _)| *timeout > 0);
    let client = client.map(|(timeout, at_least)| {
        let least = opened + ms(at_least);
        least.max(run.arrived + ms(timeout))
    });
    [drain, total, client].into_iter().flatten().min()
}

/// A task that was stopped was stopped by a policy, and never for the client's own deadline.
fn only_what_the_plan_allows_was_stopped(plan: &Plan, run: &Run) -> Checked {
    let reports = run.log.reports();
    if run.world.facts().killed == 0 {
        return Ok(());
    }
    let Some(report) = reports.first() else {
        return Err(TestCaseError::fail(
            "a task was killed, and nothing said of it",
        ));
    };
    let detaches = match report.outcome {
        Outcome::DeadlineExceeded => {
            prop_assert!(
                !matches!(report.closed_by, Some(Limit::Source(_))),
                "{:?}",
                report
            );
            plan.at_deadline == Unfinished::Continue
        }
        Outcome::Dropped => {
            plan.at_disconnect == Unfinished::Continue && plan.at_deadline == Unfinished::Continue
        }
        _ => true,
    };
    prop_assert!(!detaches, "a task was killed: {:?}", report);
    Ok(())
}

fn no_success_is_claimed_for_failed_work(plan: &Plan, run: &Run) -> Checked {
    let body_failed = run.items.iter().any(|(_, item)| *item == Item::Failed);
    let reports = run.log.reports();
    let required_failed = reports.first().is_some_and(|report| report.required_failed);
    if run.head_failed || body_failed {
        prop_assert!(required_failed, "nothing has failed: {:?}", reports);
        return Ok(());
    }
    let claims_success = run.finished
        && !run.failed
        && !run.items.iter().any(|(_, item)| *item == Item::Error)
        && plan.hold != Hold::Never;
    // Under `Required` the response does not depend on what comes after it, which a slow client may see.
    let punctual = !matches!(plan.client, Client::IsSlow(_));
    let last = run.items.last().map(|(seen, _)| *seen).or(run.head);
    let required_failed = match plan.hold {
        Hold::Required => punctual && last.is_some_and(|last| last.required_failed),
        _ => required_failed,
    };
    prop_assert!(!(claims_success && required_failed), "{:?}", reports);
    Ok(())
}

fn frames_are_those_of_the_inner_body(plan: &Plan, run: &Run) -> Checked {
    let facts = run.world.facts();
    let held = plan.hook.is_some() || facts.answered.is_some_and(|answered| answered.alive > 0);
    if run.head_failed || (has_no_body(plan) && held && plan.hold != Hold::Never) {
        // No server sends it: it may have been dropped, for the sake of who feeds it.
        return Ok(());
    }
    let inner = facts.given.iter().map(|(_, item)| item);
    let inner: Vec<_> = inner.filter(|item| **item != Item::End).collect();
    let outer = run.items.iter().map(|(_, item)| item);
    let is_of_the_body = |item: &&Item| !matches!(item, Item::End | Item::Failed);
    let outer: Vec<_> = outer.filter(is_of_the_body).collect();
    let failed = run.items.iter().any(|(_, item)| *item == Item::Failed);
    let may_wait = facts.spawned > 0 || plan.anonymous.is_some() || plan.hook.is_some();
    if run.finished && gone::may_be_cut(plan, run, may_wait) && !failed {
        let (same, rest) = inner.split_at(outer.len().min(inner.len()));
        prop_assert_eq!(same, &outer[..], "a frame was lost or made up");
        prop_assert!(rest.iter().all(|item| **item == Item::Error), "{:?}", rest);
    } else if run.finished && plan.client != Client::IsServer && !failed {
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
    let detached = run.world.facts().detached;
    let (mut reported, mut stragglers, mut anonymous) = (0, 0, 0);
    if let Some(report) = reports.first() {
        reported = report.spawned;
        stragglers = report.stragglers.len();
        let failures = report.failed + report.panicked + report.aborted;
        let counted = report.completed + failures + stragglers;
        prop_assert_eq!(counted, reported, "{:?}", report);
        prop_assert_eq!(report.failures.len(), failures);
        anonymous = report
            .stragglers
            .iter()
            .filter(|task| task.name.is_none())
            .count();
        if plan.hold == Hold::Never {
            prop_assert_eq!(report.held, ms(0));
        }
        match report.outcome {
            Outcome::Drained => {
                prop_assert_eq!(stragglers, 0);
                // A body that fails is asked once more before it says so, when all is reported: a client may
                // leave in that very moment.
                let leaves_any_time = matches!(plan.client, Client::LeavesAt(_));
                let fails = leaves_any_time && report.required_failed;
                let cut_off = !run.finished && !fails && !may_have_ended(plan, run);
                prop_assert!(!cut_off, "it was dropped before its end");
            }
            Outcome::DeadlineExceeded => {
                let unfinished = stragglers > 0 || report.aborted > 0;
                prop_assert!(unfinished || plan.hook.is_some(), "{:?}", report);
                prop_assert!(report.closed_by.is_some());
            }
            Outcome::Dropped => prop_assert!(!run.finished, "it was read to its end"),
            other => prop_assert!(false, "{:?}", other),
        }
    }
    prop_assert!(reports.len() <= 1, "{:?}", reports);
    prop_assert!(reported > 0 || reports.is_empty() || detached > 0);
    // The one in the tokio-util tracker is counted if it was seen alive.
    let seen = (reported + late).saturating_sub(spawned);
    prop_assert!(
        seen <= usize::from(plan.anonymous.is_some()),
        "told of twice"
    );
    prop_assert_eq!(reported + late - seen, spawned, "each task is told of once");
    let told_alone = stragglers - anonymous + late + detached;
    prop_assert_eq!(run.log.late_ends().len(), told_alone);
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
    // All of it may have been taken before the head.
    let given = run
        .world
        .facts()
        .given
        .iter()
        .map(|(_, item)| match item {
            Item::Data(data) => data.len() as u64,
            _ => 0,
        })
        .sum();
    let read = read.max(given);
    run.head.is_some()
        && (ends_with_head(plan) || foretold || length.is_some_and(|length| read >= length))
}

pub(super) fn has_no_body(plan: &Plan) -> bool {
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
pub(super) fn initial_hint(plan: &Plan) -> Option<u64> {
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

pub(super) fn length_header(plan: &Plan) -> Option<u64> {
    (plan.body.length == Length::Header).then(|| plan.body.total())
}
