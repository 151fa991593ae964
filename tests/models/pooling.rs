//! The memory of a request that is used again, while something still refers to it.

use std::sync::Arc;

use loom::sync::atomic::{AtomicBool, Ordering::SeqCst};
use loom::thread;

use crate::report::Outcome;
use crate::request::Request;
use crate::request::pool::{self, Use};
use crate::sync::touch_count;
use crate::world::{World, check, named, query};

#[test]
fn a_snapshot_that_still_reads_a_request_does_not_see_the_next_one_in_it() {
    check(Some(4), || {
        let world = World::new();
        let request = world.request();
        request.admit(named("first")).end_of_run(None);
        let is_over = Arc::new(AtomicBool::new(false));
        let looker = thread::spawn({
            let (process, is_over) = (world.process.clone(), is_over.clone());
            move || {
                let members = process.registry().members();
                if is_over.load(SeqCst) {
                    return;
                }
                for request in &members {
                    assert!(request.snapshot(&[]).is_empty(), "its task has ended");
                    request.leave_if_over();
                }
                touch_count();
            }
        });
        let release_state = request.release_if_idle(query(Outcome::Drained));
        assert!(release_state.is_some(), "nothing is alive");
        request.conclude();
        is_over.store(true, SeqCst);
        touch_count();
        pool::keep(request);
        let next = world.request();
        assert!(!next.has_spawned() && !next.is_released(), "as it was made");
        let mut task = next.admit(named("next"));
        assert_eq!(world.process.registry().len(), 1);
        task.end_of_run(None);
        looker.join().expect("no panic");
    });
}

#[test]
fn a_handle_that_spawns_while_its_request_ends_does_not_spawn_in_the_next_one() {
    check(None, || {
        let world = World::observed();
        let mut request = world.request();
        let spawner = spawner(&request);
        touch_count();
        if request.used() == Use::Used {
            while request.release_if_idle(query(Outcome::Drained)).is_none() {
                thread::yield_now();
            }
            request.conclude();
        }
        touch_count();
        pool::keep(request);
        let next = world.request();
        assert!(!next.has_spawned() && !next.is_released(), "as it was made");
        spawner.join().expect("no panic");
        assert!(!next.has_spawned(), "a task of another request");
        assert_eq!(next.alive(), 0);
        assert!(world.process.registry().is_empty());
    });
}

#[test]
fn a_request_that_a_handle_still_refers_to_is_not_used_again() {
    check(None, || {
        let world = World::new();
        let mut request = world.request();
        let spawner = spawner(&request);
        touch_count();
        // As the drain does.
        match request.used() {
            Use::Pristine => pool::put(request),
            Use::Unused | Use::Used => drop(request),
        }
        let next = world.request();
        assert!(!next.has_spawned(), "as it was made");
        spawner.join().expect("no panic");
        assert!(!next.has_spawned(), "a task of another request");
    });
}

/// A thread that spawns in a request, through a handle that it drops then.
fn spawner(request: &Arc<Request>) -> thread::JoinHandle<()> {
    let tasks = request.clone();
    thread::spawn(move || {
        tasks.admit(named("spawned")).end_of_run(None);
        touch_count();
        drop(tasks);
    })
}
