//! Orders that keep the rule, and orders that break it.

use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::LIMIT;
use super::container::Container;

/// The default duration of an audit entry.
const AUDIT: Duration = Duration::from_millis(300);
/// How long an instance is frozen.
const FROZEN: Duration = Duration::from_secs(2);

#[test]
fn an_order_is_answered_when_its_audit_entry_is_written() {
    let container = Container::start();
    let answer = container.post("/orders");
    assert_eq!(answer.order(), 1);
    assert!(answer.took >= AUDIT, "{answer:?}");
    let shown = container.get("/orders/1").text;
    assert!(shown.starts_with("order 1: audited after "), "{shown}");
    assert_eq!(container.next_line(), shown.trim_end(), "in the log too");
    let report = container.next_line();
    assert!(
        report.starts_with("drained: 1 of 1 tasks completed"),
        "{report}"
    );
}

#[test]
fn an_untracked_order_is_answered_before() {
    let container = Container::start();
    let answer = container.post("/orders?untracked=true&takes=60000");
    assert_eq!(answer.order(), 1);
    let shown = container.get("/orders/1").text;
    assert_eq!(shown, "order 1: not audited yet\n");
}

#[test]
fn an_order_that_is_not_there_is_not_found() {
    let container = Container::start();
    for path in ["/orders/0", "/orders/1"] {
        assert_eq!(container.get(path).status, 404, "{path}");
    }
}

/// Places an order, freezes the container when the order is answered, and thaws it. Returns the times from the order to
/// its answer and to its audit entry.
fn frozen(path: &str) -> [Duration; 2] {
    let container = Container::start();
    let answer = container.post(path);
    container.signal(Signal::STOP);
    let id = answer.order();
    thread::sleep(FROZEN);
    container.signal(Signal::CONT);
    let start = Instant::now();
    loop {
        let shown = container.get(&format!("/orders/{id}")).text;
        let after = shown.strip_prefix(&format!("order {id}: audited after "));
        if let Some(after) = after.and_then(|after| after.strip_suffix(" ms\n")) {
            let after = after.parse().expect("a number");
            return [answer.took, Duration::from_millis(after)];
        }
        assert!(start.elapsed() < LIMIT, "{shown}");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn on_a_frozen_instance_only_work_that_was_waited_for_is_done_in_time() {
    let [answered, audited] = frozen("/orders?takes=1000");
    assert!(audited <= answered, "{audited:?}, {answered:?}");
    let [answered, audited] = frozen("/orders?takes=1000&untracked=true");
    assert!(audited >= FROZEN, "{audited:?}, {answered:?}");
}

/// Places an order, freezes the container when the order is answered, and kills it. Returns whether the audit entry was
/// written.
fn survives(path: &str) -> bool {
    let container = Container::start();
    let answer = container.post(path);
    container.signal(Signal::STOP);
    let id = answer.order();
    container.signal(Signal::KILL);
    let (_, printed) = container.ended();
    let audited = format!("order {id}: audited after ");
    printed.iter().any(|line| line.starts_with(&audited))
}

#[test]
fn an_instance_that_is_never_thawed_loses_only_work_that_was_not_waited_for() {
    assert!(survives("/orders"));
    assert!(!survives("/orders?untracked=true&takes=10000"));
}
