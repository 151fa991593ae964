//! How often an event that a client can cause is logged.

use std::time::Duration;

use tokio::time::Instant;

use self::source::Throttle;

#[path = "../../../src/throttle.rs"]
mod source;

#[test]
fn one_event_of_a_second_is_let_through() {
    let throttle = Throttle::new(Duration::from_secs(1));
    let start = Instant::now();
    let let_through = [0, 1, 999, 1000, 1001, 1999, 2000, 60_000, 60_999, 61_000]
        .into_iter()
        .filter(|millis| {
            throttle
                .pass(start + Duration::from_millis(*millis), || true)
                .is_some()
        });
    assert_eq!(Vec::from_iter(let_through), [0, 1000, 2000, 60_000, 61_000]);
}

#[test]
fn a_moment_before_the_last_one_is_not_let_through() {
    let throttle = Throttle::new(Duration::from_secs(1));
    let start = Instant::now();
    assert_eq!(
        throttle.pass(start + Duration::from_secs(5), || true),
        Some(0)
    );
    assert_eq!(
        throttle.pass(start, || true),
        None,
        "of a thread that was late"
    );
}

#[test]
fn of_many_threads_one_is_let_through() {
    let throttle = Throttle::new(Duration::from_secs(1));
    let now = Instant::now();
    let let_through = std::thread::scope(|scope| {
        let threads = [(); 8].map(|()| scope.spawn(|| throttle.pass(now, || true).is_some()));
        threads.map(|thread| usize::from(thread.join().expect("no panic")))
    });
    assert_eq!(let_through.iter().sum::<usize>(), 1);
}

#[test]
fn the_next_event_has_the_number_of_those_before_it() {
    let throttle = Throttle::new(Duration::from_secs(1));
    let start = Instant::now();
    let pass = |millis| throttle.pass(start + Duration::from_millis(millis), || true);
    assert_eq!(pass(0), Some(0));
    assert_eq!((pass(1), pass(2)), (None, None));
    let refused = throttle.pass(start + Duration::from_secs(1), || false);
    assert_eq!(refused, None, "it is time, but this one is none");
    assert_eq!(pass(1000), Some(2));
}
