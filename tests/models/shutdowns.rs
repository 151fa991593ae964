//! A shutdown that races spawns and waits.

use std::future::poll_fn;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::Poll;
use std::time::Duration;

use loom::future::block_on;
use loom::thread;
use tokio::time::Instant;

use crate::report::Limit;
use crate::request::Request;
use crate::request::task::Refused;
use crate::sync::touch_count;
use crate::world::{World, check, look, named};

/// Begins a shutdown, and returns how many requests it found.
fn close(world: &World) -> usize {
    let found = AtomicUsize::new(0);
    let now = Instant::now();
    world
        .process
        .close(now, now + Duration::from_secs(10), |r| {
            r.shutdown_begins();
            found.fetch_add(1, SeqCst);
        });
    found.load(SeqCst)
}

#[test]
fn a_try_spawn_that_races_a_shutdown_is_found_by_it_or_refused() {
    check(None, || {
        let world = World::new();
        let request = world.request();
        let spawner = thread::spawn({
            let request = request.clone();
            move || match request.try_admit(named("task"), None) {
                Ok(mut task) => {
                    task.end_of_run(None);
                    true
                }
                Err(refused) => {
                    assert_eq!(refused, Refused::ShuttingDown);
                    false
                }
            }
        });
        let found = close(&world);
        let is_spawned = spawner.join().expect("no panic");
        if is_spawned {
            assert_eq!(found, 1, "the shutdown passed by a request with a task");
        } else {
            assert!(
                world.process.registry().is_empty(),
                "it was listed for the spawn alone"
            );
        }
    });
}

#[test]
fn a_wait_of_a_request_that_first_spawns_during_a_shutdown_has_its_deadline() {
    check(None, || {
        let world = World::new();
        let request = world.request();
        let waits = thread::spawn({
            let request = request.clone();
            move || {
                let mut task = request.admit(named("task"));
                request.open_window(Instant::now());
                // A shutdown that neither wakes this nor is seen by it would be a deadlock.
                block_on(poll_fn(|cx| {
                    assert!(look(&request, cx).own, "the task is alive");
                    let deadline = request.deadline();
                    if deadline.is_some_and(|deadline| deadline.limit == Limit::Shutdown) {
                        return Poll::Ready(());
                    }
                    Poll::Pending
                }));
                task.end_of_run(None);
            }
        });
        let _ = close(&world);
        waits.join().expect("no panic");
    });
}

#[test]
fn a_wait_for_a_task_that_another_thread_lists_has_the_deadline_of_a_shutdown() {
    check(Some(4), || {
        let world = World::new();
        let request = world.request();
        let spawner = thread::spawn({
            let request = request.clone();
            move || request.admit(named("task"))
        });
        let waits = thread::spawn({
            let request = request.clone();
            move || {
                if !request.open_if_busy(Instant::now()).is_busy() {
                    // The task is not listed yet: nothing is waited for.
                    return;
                }
                // A shutdown that neither wakes this nor is seen by it would be a deadlock.
                block_on(poll_fn(|cx| {
                    let (look, deadline) = request.look_again(cx);
                    assert!(look.own, "the task is alive");
                    match deadline {
                        Some(deadline) if deadline.limit == Limit::Shutdown => Poll::Ready(()),
                        _ => Poll::Pending,
                    }
                }));
            }
        });
        let _ = close(&world);
        waits.join().expect("no panic");
        spawner.join().expect("no panic").end_of_run(None);
    });
}

#[test]
fn work_of_the_process_that_is_spawned_during_a_shutdown_is_asked_to_stop() {
    check(None, || {
        let world = World::new();
        let own = |shared| move |stop| Request::of_process(shared, stop);
        let spawner = thread::spawn({
            let (process, shared) = (world.process.clone(), world.shared.clone());
            move || {
                let request = process.own(own(shared));
                let task = request.admit(named("connection"));
                (request.cancellation_token(), task)
            }
        });
        let _ = close(&world);
        let (token, mut task) = spawner.join().expect("no panic");
        assert!(token.is_cancelled());
        task.end_of_run(None);
        assert!(world.process.registry().is_empty(), "it has left");
        assert_eq!(Arc::strong_count(&world.shared), 1, "it is gone");
    });
}

#[test]
fn a_request_that_is_dropped_while_a_shutdown_passes_it_leaves_outside_of_the_lists_lock() {
    check(None, || {
        let world = World::new();
        let request = world.request();
        // It is listed, and nothing but its owner refers to it.
        request.make_tracker(Location::caller());
        let owner = thread::spawn(move || {
            touch_count();
            drop(request);
        });
        // The shutdown may have the last reference. A drop inside of the lock would be a deadlock.
        let _ = close(&world);
        owner.join().expect("no panic");
        assert!(world.process.registry().is_empty(), "it has left");
    });
}
