//! Hand-offs that race the end of the task, a stop, a release and the end of a shutdown.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use loom::thread;

use crate::report::{NotDone, Outcome};
use crate::request::Request;
use crate::request::guard::TaskGuard;
use crate::request::hand_off::HandOffFn;
use crate::request::task::{Kind, TaskSpec};
use crate::sync::{AbortHandle, join_spawned};
use crate::world::{World, account, check, named, query};

/// A required task with a hand-off, which counts its calls. Another thread attaches the abort handle.
fn armed(request: &Arc<Request>) -> (TaskGuard, Arc<AtomicUsize>, Attaching) {
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = calls.clone();
    let f = HandOffFn::new(move |_| {
        counter.fetch_add(1, SeqCst);
        async { Ok::<(), String>(()) }
    });
    let spec = TaskSpec {
        kind: Kind::Required,
        ..named("task")
    };
    let task = request.admit_with_hand_off(spec, None, f);
    let (request, ticket) = (request.clone(), task.ticket());
    let attaching = thread::spawn(move || request.attach(ticket, AbortHandle::default()));
    (task, calls, Attaching(attaching))
}

/// The thread that has spawned a task, and attaches its abort handle.
struct Attaching(thread::JoinHandle<()>);

impl Attaching {
    fn join(self) {
        self.0.join().expect("no panic");
    }
}

#[test]
fn a_task_that_fails_while_it_is_stopped_is_handed_off_once() {
    check(Some(2), || {
        let world = World::new();
        let request = world.request();
        let (mut task, calls, attaching) = armed(&request);
        let fails = thread::spawn(move || task.end_of_run(Some("no".to_owned())));
        request.stop_for_hand_off(NotDone::Deadline);
        fails.join().expect("no panic");
        attaching.join();
        join_spawned();
        assert_eq!(calls.load(SeqCst), 1);
        assert_eq!(request.alive(), 0, "one entry, which has ended");
        assert!(!request.required_failed(), "the hand-off has succeeded");
    });
}

#[test]
fn a_task_that_completes_while_it_is_stopped_is_not_handed_off() {
    check(Some(2), || {
        let world = World::new();
        let request = world.request();
        let (mut task, calls, attaching) = armed(&request);
        let completes = thread::spawn(move || task.end_of_run(None));
        request.stop_for_hand_off(NotDone::Deadline);
        completes.join().expect("no panic");
        attaching.join();
        join_spawned();
        assert_eq!(calls.load(SeqCst), 0);
        assert_eq!(request.alive(), 0);
    });
}

#[test]
fn while_a_task_is_handed_off_the_request_counts_it() {
    check(Some(2), || {
        let world = World::new();
        let request = world.request();
        let (mut task, calls, attaching) = armed(&request);
        let fails = thread::spawn(move || task.end_of_run(Some("no".to_owned())));
        if request.alive() == 0 {
            assert_eq!(calls.load(SeqCst), 1, "not alive, so handed off");
        }
        fails.join().expect("no panic");
        attaching.join();
        join_spawned();
    });
}

#[test]
fn a_closure_that_completes_while_it_is_stopped_completes_or_is_handed_off_and_counts_once() {
    check(Some(2), || {
        let world = World::new();
        let request = world.request();
        let (mut task, calls, attaching) = armed(&request);
        task.note_closure();
        let runs = thread::spawn(move || task.end_of_run(None));
        request.stop_for_hand_off(NotDone::Deadline);
        runs.join().expect("no panic");
        attaching.join();
        join_spawned();
        assert!(calls.load(SeqCst) <= 1);
        assert_eq!(request.alive(), 0);
        let (release_state, _) = request.release(query(Outcome::Drained), None);
        let tally = account(release_state).tally;
        assert_eq!((tally.spawned, tally.handed_off), (1, calls.load(SeqCst)));
    });
}

#[test]
fn a_task_that_fails_during_a_release_is_in_the_report_or_late_and_not_both() {
    check(Some(2), || {
        let world = World::observed();
        let request = world.request();
        let (mut task, calls, attaching) = armed(&request);
        let fails = thread::spawn(move || task.end_of_run(Some("no".to_owned())));
        let (release_state, _) = request.release(query(Outcome::DeadlineExceeded), None);
        let late = release_state.stragglers.len();
        let handed_off = account(release_state).tally.handed_off;
        request.conclude();
        fails.join().expect("no panic");
        attaching.join();
        join_spawned();
        assert_eq!(calls.load(SeqCst), 1);
        assert_eq!((late + handed_off, world.seen.late_ends()), (1, late));
        assert_eq!(world.seen.unlisted.load(SeqCst), 0);
    });
}

#[test]
fn at_the_end_of_a_shutdown_a_hand_off_has_begun_or_does_not_begin() {
    check(Some(2), || {
        let world = World::new();
        let request = world.request();
        let (mut task, calls, attaching) = armed(&request);
        let fails = thread::spawn(move || task.end_of_run(Some("no".to_owned())));
        request.stop_all_except(&[]);
        fails.join().expect("no panic");
        attaching.join();
        join_spawned();
        assert_eq!(request.alive(), 0);
        let is_refused = calls.load(SeqCst) == 0;
        assert_eq!(request.required_failed(), is_refused);
    });
}

#[test]
fn a_closure_that_is_stopped_before_it_is_noted_as_one_is_handed_off() {
    check(Some(2), || {
        let world = World::new();
        let request = world.request();
        let (task, calls, attaching) = armed(&request);
        let notes = thread::spawn(move || {
            task.note_closure();
            task
        });
        request.stop_for_hand_off(NotDone::Deadline);
        let task = notes.join().expect("no panic");
        join_spawned();
        assert_eq!(calls.load(SeqCst), 1, "although the closure has not ended");
        attaching.join();
        drop(task);
        assert_eq!(request.alive(), 0);
    });
}
