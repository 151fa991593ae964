//! The memory of a request that is used again, against what still refers to it.

use std::sync::Arc;

use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use loom::thread;

use crate::report::Outcome;
use crate::request::pool::{self, Use};
use crate::world::{World, ask, check, named};

/// Stands for the count of an `Arc`, which `loom` does not see: a change, or a look, comes before or after another.
#[derive(Default)]
struct Count(AtomicUsize);

impl Count {
    fn touch(&self) {
        self.0.fetch_add(1, SeqCst);
    }
}

#[test]
fn a_snapshot_that_still_reads_a_request_does_not_see_the_next_one_in_it() {
    check(Some(4), || {
        let world = World::new();
        let request = world.request();
        request.admit(named("first")).end_of_run(None);
        let is_over = Arc::new(AtomicBool::new(false));
        let count = Arc::new(Count::default());
        let looker = thread::spawn({
            let (process, is_over, count) = (world.process.clone(), is_over.clone(), count.clone());
            move || {
                let members = process.registry().members();
                if is_over.load(SeqCst) {
                    return;
                }
                for request in &members {
                    assert!(request.snapshot(&[]).is_empty(), "its task has ended");
                    request.leave_if_over();
                }
                count.touch();
            }
        });
        let standings = request.release_if_idle(ask(Outcome::Drained));
        assert!(standings.is_some(), "nothing is alive");
        request.conclude();
        is_over.store(true, SeqCst);
        count.touch();
        pool::keep(request);
        let next = world.request();
        assert!(!next.has_spawned() && !next.is_released(), "as it was made");
        let task = next.admit(named("next"));
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
        let count = Arc::new(Count::default());
        let spawner = thread::spawn({
            let (tasks, count) = (request.clone(), count.clone());
            move || {
                tasks.admit(named("spawned")).end_of_run(None);
                count.touch();
                drop(tasks);
            }
        });
        count.touch();
        if request.used() == Use::Used {
            while request.release_if_idle(ask(Outcome::Drained)).is_none() {
                thread::yield_now();
            }
            request.conclude();
        }
        count.touch();
        pool::keep(request);
        let next = world.request();
        assert!(!next.has_spawned() && !next.is_released(), "as it was made");
        spawner.join().expect("no panic");
        assert!(!next.has_spawned(), "a task of another request");
        assert_eq!(next.alive(), 0);
        assert!(world.process.registry().is_empty());
    });
}
