//! The shutdown at SIGTERM. Cloud Run sends SIGKILL 10 s later.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::LIMIT;
use super::client::send;
use super::container::Container;

/// The time from SIGTERM to SIGKILL.
const GRACE: Duration = Duration::from_secs(10);

/// Places orders until one is refused, and sends the number of each acknowledged order.
fn buy(address: SocketAddr, closes: &AtomicBool, acknowledged: &mpsc::Sender<usize>) {
    loop {
        match send(address, "POST", "/orders") {
            Ok(answer) => {
                // The receiver is gone if the test has failed.
                let _ = acknowledged.send(answer.order());
            }
            Err(error) => {
                assert!(closes.load(Ordering::SeqCst), "before SIGTERM: {error}");
                return;
            }
        }
    }
}

/// Waits until the server has taken the first order. The order is not answered by then.
fn wait_for_first_order(container: &Container) {
    let start = Instant::now();
    while container.get("/orders/1").status == 404 {
        assert!(start.elapsed() < LIMIT, "it is not taken");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn under_load_nothing_is_lost_that_was_acknowledged() {
    let container = Container::start();
    let address = container.address;
    // At SIGTERM all other customers may be between two orders. This order is open for certain.
    let slow = thread::spawn(move || send(address, "POST", "/orders?takes=4000"));
    wait_for_first_order(&container);
    let closes = Arc::new(AtomicBool::new(false));
    let (sender, acknowledged) = mpsc::channel();
    let customers: Vec<_> = (0..8)
        .map(|_| {
            let (closes, sender) = (closes.clone(), sender.clone());
            thread::spawn(move || buy(address, &closes, &sender))
        })
        .collect();
    drop(sender);
    let first = acknowledged.recv_timeout(LIMIT).expect("an order");
    let mut orders = vec![first];
    while orders.len() < 20 {
        orders.push(acknowledged.recv_timeout(LIMIT).expect("an order"));
    }
    closes.store(true, Ordering::SeqCst);
    let signal = Instant::now();
    container.signal(Signal::TERM);
    let (status, printed) = container.ended();
    let took = signal.elapsed();
    for customer in customers {
        customer.join().expect("it was refused, and not too early");
    }
    orders.extend(acknowledged.iter());
    let slow = slow.join().expect("no panic").expect("an answer");
    orders.push(slow.order());

    assert_eq!(status.code(), Some(0), "{printed:?}");
    assert!(took < GRACE, "{took:?}");
    // Every accepted order was answered: none was cut off.
    let audited: BTreeSet<usize> = printed.iter().filter_map(|line| audited(line)).collect();
    assert_eq!(audited, orders.into_iter().collect());
    let report = printed.last().expect("a report");
    assert!(report.starts_with("shut down after "), "{report}");
    assert!(report.ends_with(" tasks completed"), "{report}");
    assert!(
        !report.ends_with(": 0 tasks completed"),
        "under load: {report}"
    );
}

/// Returns the number of the order whose audit entry this line is.
fn audited(line: &str) -> Option<usize> {
    let (id, _) = line
        .strip_prefix("order ")?
        .split_once(": audited after ")?;
    id.parse().ok()
}

#[test]
fn untracked_work_is_lost() {
    let container = Container::start();
    let answer = container.post("/orders?untracked=true&takes=5000");
    assert_eq!(answer.order(), 1, "it is acknowledged");
    container.signal(Signal::TERM);
    let (status, printed) = container.ended();
    // The work is not tracked, so that the exit code does not show the loss.
    assert_eq!(status.code(), Some(0));
    let [report] = &printed[..] else {
        panic!("the report and nothing else: {printed:?}");
    };
    assert!(report.ends_with(": 0 tasks completed"), "{report}");
}

#[test]
fn work_that_takes_too_long_is_not_acknowledged_and_the_process_is_gone_in_time() {
    let container = Container::start();
    let address = container.address;
    let order = thread::spawn(move || send(address, "POST", "/orders?takes=60000"));
    wait_for_first_order(&container);
    let signal = Instant::now();
    container.signal(Signal::TERM);
    let (status, printed) = container.ended();
    let took = signal.elapsed();
    assert!(took < GRACE, "{took:?}");
    assert_eq!(status.code(), Some(1), "{printed:?}");
    let answer = order.join().expect("no panic").expect("an answer");
    assert_eq!(answer.status, 503);
    let first = printed.first().expect("a report");
    assert!(
        first.starts_with("shut down (shutdown): 0 of 1 "),
        "{printed:?}"
    );
    // The report of the process shows the same time.
    let last = printed.last().expect("a report");
    assert!(last.starts_with("shut down after 9."), "{last}");
}
