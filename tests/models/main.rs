//! `loom` models of the release protocol: the real source, with `loom`'s primitives under it, in
//! every interleaving.

use loom::sync::Arc;
use loom::sync::atomic::AtomicUsize;
use loom::thread;
use std::future::poll_fn;
use std::task::{Context, Poll};

mod sync {
    pub(crate) use loom::sync::Mutex;
    pub(crate) use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering};
}

// Not every method is part of a model.
#[allow(dead_code)]
#[path = "../../src/registry/live.rs"]
mod live;

use live::Live;
use sync::Ordering::Relaxed;

#[test]
fn a_spawn_that_races_the_release_is_waited_for_or_late() {
    loom::model(|| {
        let live = Arc::new(Live::new());
        let worked = Arc::new(AtomicUsize::new(0));
        let spawner = thread::spawn({
            let (live, worked) = (live.clone(), worked.clone());
            move || {
                let added = live.add();
                worked.store(1, Relaxed);
                live.remove(added.id, || ());
                added.late
            }
        });
        let released_with = live.try_release();
        let worked_before = worked.load(Relaxed);
        let late = spawner.join().expect("no panic");
        match released_with {
            // The release came first: the task knows that it is late.
            Some(0) => assert!(late, "the release did not see the task"),
            // The task came first and had ended: what it did is seen by who released.
            Some(spawned) => {
                assert_eq!((spawned, late), (1, false));
                assert_eq!(worked_before, 1, "its work happened before the release");
            }
            // The task came first and was alive.
            None => assert!(!late, "a task that held the release back is not late"),
        }
    });
}

#[test]
fn a_try_spawn_that_races_the_release_is_waited_for_or_refused() {
    loom::model(|| {
        let live = Arc::new(Live::new());
        let spawner = thread::spawn({
            let live = live.clone();
            move || {
                let added = live.try_add_with_spawner()?;
                assert!(!added.late, "it would have been refused");
                live.remove(added.id, || ());
                // Until here the release has to wait.
                let released_before = live.is_released();
                live.remove(added.id, || ());
                Some(released_before)
            }
        });
        let released_with = live.try_release();
        match spawner.join().expect("no panic") {
            None => assert_eq!(released_with, Some(0), "refused, so the release came first"),
            Some(released_before) => {
                assert!(!released_before, "it was released with a task alive");
                assert_ne!(released_with, Some(0), "the release did not see the task");
            }
        }
    });
}

#[test]
fn at_a_deadline_every_end_after_the_release_knows_it() {
    loom::model(|| {
        let live = Arc::new(Live::new());
        let id = live.add().id;
        let task = thread::spawn({
            let live = live.clone();
            move || live.remove(id, || ()).is_some()
        });
        live.release();
        let alive = live.alive();
        let knew = task.join().expect("no panic");
        assert!(
            alive == 0 || knew,
            "a straggler ended without knowing that it is one"
        );
    });
}

#[test]
fn of_an_attended_request_each_end_is_announced_or_seen() {
    loom::model(|| {
        let live = Arc::new(Live::new());
        let id = live.add().id;
        let task = thread::spawn({
            let live = live.clone();
            move || live.remove(id, || ()).is_some()
        });
        live.attend();
        let alive = live.alive();
        let announced = task.join().expect("no panic");
        assert!(
            alive == 0 || announced,
            "nobody would look again for the end of this task"
        );
    });
}

#[test]
fn the_last_of_several_ends_wakes_the_wait_and_is_named() {
    // Three threads: all schedules with up to three preemptions, which end in seconds.
    let mut three_threads = loom::model::Builder::new();
    three_threads.preemption_bound = Some(3);
    three_threads.check(|| {
        let live = Arc::new(Live::new());
        let worked = Arc::new(AtomicUsize::new(0));
        let tasks: Vec<_> = (0..2)
            .map(|_| {
                let (live, worked) = (live.clone(), worked.clone());
                let id = live.add().id;
                thread::spawn(move || {
                    worked.fetch_add(1, Relaxed);
                    live.remove(id, || ());
                })
            })
            .collect();
        // A lost wake-up would be a deadlock, which the model reports.
        loom::future::block_on(poll_fn(|cx| live.poll_none_alive(cx)));
        assert_eq!(worked.load(Relaxed), 2, "what they did is seen");
        assert!(live.last() < 2, "one of them was the last");
        assert_eq!(live.try_release(), Some(2));
        for task in tasks {
            task.join().expect("no panic");
        }
    });
}

#[test]
fn a_wait_that_moved_to_another_waker_is_woken_there() {
    loom::model(|| {
        let live = Arc::new(Live::new());
        let id = live.add().id;
        let task = thread::spawn({
            let live = live.clone();
            move || live.remove(id, || ()).is_some()
        });
        // First polled from somewhere else, as a body is after its future.
        let mut elsewhere = Context::from_waker(std::task::Waker::noop());
        let early: Poll<()> = live.poll_none_alive(&mut elsewhere);
        if early.is_pending() {
            loom::future::block_on(poll_fn(|cx| live.poll_none_alive(cx)));
        }
        task.join().expect("no panic");
    });
}

#[test]
fn a_task_spawned_by_the_last_task_keeps_the_wait_waiting() {
    loom::model(|| {
        let live = Arc::new(Live::new());
        let worked = Arc::new(AtomicUsize::new(0));
        let parent = live.add().id;
        let task = thread::spawn({
            let (live, worked) = (live.clone(), worked.clone());
            move || {
                let child = live.add();
                assert!(!child.late, "its parent was alive");
                live.remove(parent, || ());
                worked.store(1, Relaxed);
                live.remove(child.id, || ());
            }
        });
        loom::future::block_on(poll_fn(|cx| live.poll_none_alive(cx)));
        assert_eq!(worked.load(Relaxed), 1);
        assert_eq!(live.last(), 1, "the child ended last");
        task.join().expect("no panic");
    });
}

#[test]
fn a_spawner_holds_the_request_until_its_task_is_listed() {
    loom::model(|| {
        let live = Arc::new(Live::new());
        let listed = Arc::new(AtomicUsize::new(0));
        let id = live.add_with_spawner().id;
        let task = thread::spawn({
            let live = live.clone();
            move || live.remove(id, || ()).is_some()
        });
        let spawner = thread::spawn({
            let (live, listed) = (live.clone(), listed.clone());
            move || {
                listed.store(1, Relaxed);
                live.remove(id, || ());
            }
        });
        if live.try_release() == Some(1) {
            assert_eq!(listed.load(Relaxed), 1, "the report knows of the task");
        }
        task.join().expect("no panic");
        spawner.join().expect("no panic");
        assert_eq!(live.alive(), 0);
    });
}
