//! Waits that race the events that end them. A lost wake-up is a deadlock, which loom reports.

use std::future::poll_fn;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::AtomicBool as Flag;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Context, Poll, Wake, Waker};

use loom::future::block_on;
use loom::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use loom::thread;
use tokio::runtime::{Builder, Runtime};
use tokio::time::Instant;

use crate::process::Process;
use crate::process::waiters::Awaits;
use crate::report::Outcome;
use crate::request::Request;
use crate::request::guard::TaskGuard;
use crate::request::task::{Kind, TaskSpec};
use crate::request::waiting::Waiting;
use crate::world::{World, account, check, look, named, query};

/// Ready when no task is alive.
fn poll_drained(request: &Arc<Request>, cx: &mut Context<'_>) -> Poll<()> {
    if look(request, cx).own {
        Poll::Pending
    } else {
        Poll::Ready(())
    }
}

#[test]
fn the_last_of_several_ends_wakes_the_wait_and_is_named() {
    check(Some(4), || {
        let world = World::new();
        let request = world.request();
        request.open_window(Instant::now());
        let worked = Arc::new(AtomicUsize::new(0));
        let tasks: Vec<_> = ["first", "second"]
            .map(|name| {
                let (mut task, worked) = (request.admit(named(name)), worked.clone());
                thread::spawn(move || {
                    worked.fetch_add(1, Relaxed);
                    task.end_of_run(None);
                })
            })
            .into();
        block_on(poll_fn(|cx| poll_drained(&request, cx)));
        assert_eq!(worked.load(Relaxed), 2, "what they did is seen");
        let release_state = request.release_if_idle(query(Outcome::Drained));
        let account = account(release_state.expect("nothing is alive"));
        assert_eq!(account.tally.spawned, 2);
        assert!(account.last.is_some(), "one of them was the last");
        for task in tasks {
            task.join().expect("no panic");
        }
    });
}

#[test]
fn a_wait_that_moved_to_another_waker_is_woken_there() {
    check(None, || {
        let world = World::new();
        let request = world.request();
        let mut task = request.admit(named("task"));
        let ends = thread::spawn(move || task.end_of_run(None));
        // First polled from another place, as a body is after its future.
        let mut elsewhere = Context::from_waker(Waker::noop());
        if poll_drained(&request, &mut elsewhere).is_pending() {
            block_on(poll_fn(|cx| poll_drained(&request, cx)));
        }
        ends.join().expect("no panic");
    });
}

#[test]
fn a_task_spawned_by_the_last_task_keeps_the_wait_waiting() {
    check(None, || {
        let world = World::new();
        let request = world.request();
        request.open_window(Instant::now());
        let mut parent = request.admit(named("parent"));
        let worked = Arc::new(AtomicUsize::new(0));
        let task = thread::spawn({
            let (request, worked) = (request.clone(), worked.clone());
            move || {
                let mut child = request.admit(named("child"));
                parent.end_of_run(None);
                worked.store(1, Relaxed);
                child.end_of_run(None);
            }
        });
        block_on(poll_fn(|cx| poll_drained(&request, cx)));
        assert_eq!(worked.load(Relaxed), 1);
        let release_state = request.release_if_idle(query(Outcome::Drained));
        let last = account(release_state.expect("nothing is alive")).last;
        assert_eq!(last.and_then(|last| last.info().name), Some("child".into()));
        task.join().expect("no panic");
    });
}

#[test]
fn the_last_required_end_wakes_a_wait_for_those_alone() {
    check(None, || {
        let world = World::new();
        let request = world.request();
        let mut ordinary = request.admit(named("ordinary"));
        let required = request.admit(required("required"));
        let ends = thread::spawn(move || drop(required));
        block_on(poll_fn(|cx| {
            let look = look(&request, cx);
            assert!(look.own, "the ordinary one is alive");
            if request.required_unfinished() {
                Poll::Pending
            } else {
                Poll::Ready(())
            }
        }));
        assert!(
            request.required_failed(),
            "written down before it counts out"
        );
        ordinary.end_of_run(None);
        ends.join().expect("no panic");
    });
}

fn required(name: &'static str) -> TaskSpec {
    TaskSpec {
        kind: Kind::Required,
        ..named(name)
    }
}

/// Ready when no required task is alive. These are the steps of a head that is held for required tasks alone: a look
/// keeps the waker, unless no required task is alive before it.
fn poll_required(request: &Arc<Request>, cx: &mut Context<'_>) -> Poll<()> {
    let is_over = !request.required_unfinished();
    if !is_over {
        assert!(look(request, cx).own, "an ordinary task is alive");
    }
    if !request.required_unfinished() {
        return Poll::Ready(());
    }
    if is_over {
        // A required task was listed since the first step, and no waker is kept.
        cx.waker().wake_by_ref();
    }
    Poll::Pending
}

#[test]
fn required_tasks_that_come_and_go_wake_a_wait_for_those_alone() {
    check(Some(4), || {
        let world = World::new();
        let request = world.request();
        let mut ordinary = request.admit(named("ordinary"));
        let mut first = request.admit(required("first"));
        let come_and_go = thread::spawn({
            let request = request.clone();
            move || {
                first.end_of_run(None);
                request.admit(required("second")).end_of_run(None);
            }
        });
        block_on(poll_fn(|cx| poll_required(&request, cx)));
        come_and_go.join().expect("no panic");
        ordinary.end_of_run(None);
    });
}

#[test]
fn tasks_that_come_and_go_wake_a_wait_whose_client_has_left() {
    check(Some(4), || {
        let world = World::new();
        let request = world.request();
        let mut first = request.admit(named("first"));
        request.client_gone();
        let come_and_go = thread::spawn({
            let request = request.clone();
            move || {
                first.end_of_run(None);
                request.admit(named("second")).end_of_run(None);
            }
        });
        block_on(poll_fn(|cx| poll_drained(&request, cx)));
        come_and_go.join().expect("no panic");
    });
}

#[test]
fn wait_idle_returns_when_the_last_request_concludes() {
    check(Some(4), || {
        let world = World::new();
        let request = world.request();
        request.admit(named("task")).end_of_run(None);
        let release_state = request.release_if_idle(query(Outcome::Drained));
        assert!(release_state.is_some(), "nothing is alive");
        let concluded = Arc::new(AtomicUsize::new(0));
        let owner = thread::spawn({
            let concluded = concluded.clone();
            move || {
                concluded.store(1, Relaxed);
                request.conclude();
            }
        });
        let waiting = Waiting::new(&world.process, Awaits::Idleness);
        block_on(waiting.during(waiting.idle()));
        assert_eq!(concluded.load(Relaxed), 1);
        owner.join().expect("no panic");
    });
}

#[test]
fn wait_idle_returns_after_the_callbacks_of_the_last_late_end() {
    check(Some(3), || {
        let world = World::observed();
        let request = world.request();
        let mut task = request.admit(named("straggler"));
        let (_, _) = request.release(query(Outcome::DeadlineExceeded), None);
        request.conclude();
        let ends = thread::spawn(move || task.end_of_run(None));
        let waiting = Waiting::new(&world.process, Awaits::Idleness);
        block_on(waiting.during(waiting.idle()));
        assert_eq!(world.seen.late_ends(), 1, "its callback has run");
        drop(waiting);
        ends.join().expect("no panic");
    });
}

/// Waits in a task until the handle is idle, and then ends the task.
fn wait_in(mut task: TaskGuard, process: &Arc<Process<Request>>) {
    let waiting = Waiting::new(process, Awaits::Idleness);
    let mut idle = Box::pin(waiting.during(waiting.idle()));
    block_on(poll_fn(|cx| task.run(|| idle.as_mut().poll(cx))));
    drop(idle);
    drop(waiting);
    task.end_of_run(None);
}

#[test]
fn a_task_that_waits_for_idleness_returns_when_its_sibling_ends() {
    check(Some(3), || {
        let world = World::new();
        let request = world.request();
        let waits = request.admit(named("waits"));
        let mut sibling = request.admit(named("sibling"));
        let ends = thread::spawn(move || sibling.end_of_run(None));
        wait_in(waits, &world.process);
        ends.join().expect("no panic");
    });
}

#[test]
fn a_task_that_waits_for_idleness_returns_when_the_other_request_leaves() {
    check(Some(3), || {
        let world = World::new();
        let (own, other) = (world.request(), world.request());
        let waits = own.admit(named("waits"));
        let mut task = other.admit(named("task"));
        let (_, _) = other.release(query(Outcome::DeadlineExceeded), None);
        other.conclude();
        drop(other);
        let ends = thread::spawn(move || task.end_of_run(None));
        wait_in(waits, &world.process);
        ends.join().expect("no panic");
    });
}

#[test]
fn tasks_of_two_requests_that_wait_for_idleness_return_when_the_last_other_task_ends() {
    check(Some(1), || {
        let world = World::new();
        let (first, second) = (world.request(), world.request());
        let waits = first.admit(named("waits"));
        let waits_too = second.admit(named("waits, too"));
        let mut sibling = second.admit(named("sibling"));
        let ends = thread::spawn(move || sibling.end_of_run(None));
        let process = world.process.clone();
        let other = thread::spawn(move || wait_in(waits_too, &process));
        wait_in(waits, &world.process);
        other.join().expect("no panic");
        ends.join().expect("no panic");
    });
}

/// A waker that notes that it was woken.
#[derive(Default)]
struct Woken(Flag);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, SeqCst);
    }
}

/// Runs the tasks of a runtime that are ready.
fn turn(runtime: &Runtime) {
    runtime.block_on(tokio::task::yield_now());
}

#[test]
fn a_watch_of_the_tracker_that_ends_at_once_wakes_the_wait_that_began_it() {
    check(None, || {
        let world = World::new();
        let runtime = Builder::new_current_thread().build().expect("a runtime");
        let runtime = Arc::new(runtime);
        let _entered = runtime.enter();
        let request = world.request();
        let token = request.make_tracker(Location::caller()).token();
        let worker = thread::spawn({
            let (request, runtime) = (request.clone(), runtime.clone());
            move || {
                // `loom` sees this step, and the drop of the token belongs to it.
                let _ = request.alive();
                drop(token);
                turn(&runtime);
            }
        });
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(woken.clone());
        let look = look(&request, &mut Context::from_waker(&waker));
        worker.join().expect("no panic");
        // The watch may have begun after the worker's turn.
        turn(&runtime);
        assert!(!look.in_tracker || woken.0.load(SeqCst), "a lost wake-up");
    });
}
