//! Aborts that race the spawn that attaches the handle, and aborts that race the end of the task.

use loom::thread;

use crate::report::{NotDone, Outcome};
use crate::request::task::Refused;
use crate::sync::AbortHandle;
use crate::world::{World, check, named, query};

#[test]
fn a_task_that_is_aborted_while_its_handle_is_attached_is_aborted() {
    check(None, || {
        let world = World::new();
        let request = world.request();
        let mut task = request.admit(named("task"));
        let handle = AbortHandle::default();
        let spawner = thread::spawn({
            let (request, handle, ticket) = (request.clone(), handle.clone(), task.ticket());
            move || request.attach(ticket, handle)
        });
        let why = Some(NotDone::Deadline);
        let (_, stops) = request.release(query(Outcome::DeadlineExceeded), why);
        request.stop(stops);
        spawner.join().expect("no panic");
        assert!(handle.is_aborted(), "whichever came first");
        task.end_of_run(None);
        assert!(handle.is_last(), "nothing keeps the handle");
    });
}

#[test]
fn a_task_that_is_spawned_while_a_release_aborts_is_aborted_or_refused() {
    check(None, || {
        let world = World::new();
        let request = world.request();
        let spawner = thread::spawn({
            let request = request.clone();
            move || match request.try_admit(named("task"), None) {
                Ok(task) => {
                    let handle = AbortHandle::default();
                    request.attach(task.ticket(), handle.clone());
                    Some((task, handle))
                }
                Err(refused) => {
                    assert_eq!(refused, Refused::Released);
                    None
                }
            }
        });
        let (_, stops) = request.release(query(Outcome::DeadlineExceeded), Some(NotDone::Deadline));
        request.stop(stops);
        if let Some((task, handle)) = spawner.join().expect("no panic") {
            assert!(handle.is_aborted(), "it came before the release");
            drop(task);
        }
    });
}

#[test]
fn a_task_that_ends_while_it_is_aborted_and_its_handle_is_attached_leaves_no_handle() {
    check(None, || {
        let world = World::new();
        let request = world.request();
        let task = request.admit(named("task"));
        let handle = AbortHandle::default();
        let spawner = thread::spawn({
            let (request, handle, ticket) = (request.clone(), handle.clone(), task.ticket());
            move || request.attach(ticket, handle)
        });
        let ends = thread::spawn(move || drop(task));
        request.stop_unfinished(NotDone::Deadline);
        spawner.join().expect("no panic");
        ends.join().expect("no panic");
        assert!(handle.is_last(), "nothing keeps the handle");
        assert_eq!(request.alive(), 0);
    });
}

#[test]
fn a_handle_of_a_task_that_has_ended_is_not_attached_to_the_next_one_in_its_slot() {
    check(None, || {
        let world = World::new();
        let request = world.request();
        let mut first = request.admit(named("first"));
        let (first_handle, second_handle) = (AbortHandle::default(), AbortHandle::default());
        let spawner = thread::spawn({
            let (request, handle, ticket) = (request.clone(), first_handle.clone(), first.ticket());
            move || request.attach(ticket, handle)
        });
        first.end_of_run(None);
        let second = request.admit(named("second"));
        request.attach(second.ticket(), second_handle.clone());
        spawner.join().expect("no panic");
        request.stop_unfinished(NotDone::Deadline);
        assert!(!first_handle.is_aborted(), "it had ended");
        assert!(second_handle.is_aborted(), "it is alive");
        drop(second);
        assert!(first_handle.is_last() && second_handle.is_last());
    });
}
