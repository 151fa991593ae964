//! Spawns and ends that race the release.

use std::sync::Arc;

use loom::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use loom::thread;

use crate::report::Outcome;
use crate::request::task::Refused;
use crate::world::{World, account, check, named, query};

#[test]
fn a_spawn_that_races_the_release_is_in_the_report_or_late() {
    check(None, || {
        let world = World::observed();
        let request = world.request();
        let worked = Arc::new(AtomicUsize::new(0));
        let spawner = thread::spawn({
            let (request, worked) = (request.clone(), worked.clone());
            move || {
                let mut task = request.admit(named("task"));
                worked.store(1, Relaxed);
                task.end_of_run(None);
            }
        });
        let release_state = request.release_if_idle(query(Outcome::Drained));
        let worked_before = worked.load(Relaxed);
        spawner.join().expect("no panic");
        let late = (world.seen.late_spawns(), world.seen.late_ends());
        match release_state.map(account) {
            // The release came first: the task is late.
            Some(account) if account.tally.spawned == 0 => assert_eq!(late, (1, 1)),
            // The task came first, and had ended: the code that releases sees what the task did.
            Some(_) => {
                assert_eq!(late, (0, 0), "it is in the report");
                assert_eq!(worked_before, 1, "its work happened before the release");
            }
            // The task came first, and was alive.
            None => assert_eq!(late, (0, 0), "a task that held the response is not late"),
        }
    });
}

#[test]
fn a_try_spawn_that_races_the_release_is_waited_for_or_refused() {
    check(None, || {
        let world = World::observed();
        let request = world.request();
        let spawner = thread::spawn({
            let request = request.clone();
            move || match request.try_admit(named("task"), None) {
                Err(refused) => {
                    assert_eq!(refused, Refused::Released);
                    true
                }
                Ok(mut task) => {
                    // Until its end the release has to wait.
                    assert!(!request.is_released(), "released with a task alive");
                    task.end_of_run(None);
                    false
                }
            }
        });
        let release_state = request.release_if_idle(query(Outcome::Drained));
        let is_refused = spawner.join().expect("no panic");
        if let Some(account) = release_state.map(account) {
            assert_eq!(account.tally.spawned, usize::from(!is_refused));
        } else {
            assert!(!is_refused, "nothing was released");
        }
        assert_eq!(world.seen.late_spawns(), 0);
    });
}

#[test]
fn at_a_deadline_a_task_is_in_the_report_or_its_end_is_late() {
    check(None, || {
        let world = World::observed();
        let request = world.request();
        let task = request.admit(named("task"));
        let ends = thread::spawn(move || drop(task));
        let (release_state, _) = request.release(query(Outcome::DeadlineExceeded), None);
        request.conclude();
        ends.join().expect("no panic");
        let stragglers = release_state.stragglers.len();
        let account = account(release_state);
        assert_eq!(account.tally.spawned, 1);
        assert_eq!(account.tally.aborted + stragglers, 1, "in the report once");
        let failures = account.incomplete.map_or(0, |t| t.failures.len());
        assert_eq!(failures, account.tally.aborted);
        // An end that is written down and not counted out is in the report as an end, and not late.
        assert_eq!(world.seen.late_ends(), stragglers);
        assert_eq!(world.seen.unlisted.load(Relaxed), 0);
        assert!(world.process.registry().is_empty(), "it has left");
    });
}

#[test]
fn what_a_task_spawns_while_it_becomes_a_straggler_is_in_the_report_or_detached() {
    check(None, || {
        let world = World::observed();
        let request = world.request();
        let mut parent = request.admit(named("parent"));
        let spawner = thread::spawn({
            let request = request.clone();
            move || {
                let mut child = None;
                parent.run(|| child = Some(request.admit(named("child"))));
                child.expect("it was admitted").end_of_run(None);
                parent.end_of_run(None);
            }
        });
        let (release_state, _) = request.release(query(Outcome::DeadlineExceeded), None);
        request.conclude();
        spawner.join().expect("no panic");
        let alive = release_state.stragglers.len();
        let in_report = account(release_state).tally.completed(alive);
        assert_eq!(world.seen.late_spawns(), 0, "a task has spawned it");
        let ended = in_report + world.seen.late_ends();
        assert_eq!(ended, 2, "each end is in the report, or observed alone");
    });
}

#[test]
fn a_late_spawn_that_races_the_conclusion_keeps_the_request_listed_until_it_is_reported() {
    check(None, || {
        let world = World::observed();
        let request = world.request();
        request.open_window(tokio::time::Instant::now());
        let release_state = request.release_if_idle(query(Outcome::Drained));
        assert!(release_state.is_some(), "nothing is alive");
        let spawner = thread::spawn({
            let request = request.clone();
            move || request.admit(named("late")).end_of_run(None)
        });
        request.conclude();
        spawner.join().expect("no panic");
        assert_eq!(world.seen.late_spawns(), 1);
        assert_eq!(world.seen.late_ends(), 1);
        assert_eq!(world.seen.unlisted.load(Relaxed), 0);
        assert!(world.process.registry().is_empty(), "it has left");
    });
}
