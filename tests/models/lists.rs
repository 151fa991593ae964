//! The registry of a process, read while members are added and removed.

use std::sync::{Arc, Mutex, OnceLock, Weak};

use loom::thread;

use crate::process::registry::{Registration, Registry};
use crate::report::Outcome;
use crate::sync::{set_thread_number, touch_count};
use crate::world::{World, check, named, query};

/// A member that leaves when it is dropped.
struct Member {
    registry: Weak<Registry<Member>>,
    registration: OnceLock<Registration>,
}

impl Member {
    fn join(registry: &Arc<Registry<Member>>) -> Arc<Self> {
        let member = Arc::new(Self {
            registry: Arc::downgrade(registry),
            registration: OnceLock::new(),
        });
        let registration = registry.join(Arc::downgrade(&member));
        member
            .registration
            .set(registration)
            .expect("it joins once");
        member
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        if let (Some(registry), Some(registration)) =
            (self.registry.upgrade(), self.registration.get())
        {
            registry.leave(*registration);
        }
    }
}

#[test]
fn a_request_that_leaves_while_the_list_is_read_is_seen_whole_or_not_at_all() {
    check(None, || {
        let world = World::new();
        let request = world.request();
        let mut task = request.admit(named("task"));
        let (_, _) = request.release(query(Outcome::DeadlineExceeded), None);
        request.conclude();
        drop(request);
        let ends = thread::spawn(move || task.end_of_run(None));
        // The reader may have the last reference.
        for request in world.process.registry().members() {
            let alive = request.snapshot(&[]);
            assert!(alive.iter().all(|task| task.released));
            assert!(alive.len() <= 1);
        }
        ends.join().expect("no panic");
        assert!(world.process.registry().is_empty());
    });
}

#[test]
fn a_member_that_is_dropped_while_the_list_is_read_is_dropped_outside_of_its_lock() {
    check(None, || {
        let registry: Arc<Registry<Member>> = Arc::default();
        let member = Member::join(&registry);
        let owner = thread::spawn(move || {
            touch_count();
            drop(member);
        });
        // The reader may have the last reference. A drop inside of the lock would be a deadlock.
        drop(registry.members());
        owner.join().expect("no panic");
        assert!(registry.is_empty());
    });
}

#[test]
fn a_list_is_not_empty_while_a_member_joins_one_shard_before_the_last_leaves_another() {
    check(None, || {
        let registry: Arc<Registry<Member>> = Arc::default();
        set_thread_number(1);
        let last = Member::join(&registry);
        let joined = Arc::new(Mutex::new(None));
        let other = thread::spawn({
            let (registry, joined) = (registry.clone(), joined.clone());
            move || {
                set_thread_number(0);
                let member = Member::join(&registry);
                *joined.lock().expect("no panic") = Some(member);
                drop(last);
            }
        });
        assert!(!registry.is_empty(), "there was no such moment");
        other.join().expect("no panic");
        assert_eq!(registry.len(), 1);
        drop(joined.lock().expect("no panic").take());
        assert!(registry.is_empty());
    });
}

#[test]
fn the_members_at_once_are_all_there_were_at_some_moment() {
    check(None, || {
        let registry: Arc<Registry<()>> = Arc::default();
        // The model keeps both: where the reader had the last reference, `loom` would not see that the member leaves.
        let (last, new) = (Arc::new(()), Arc::new(()));
        set_thread_number(1);
        let seat_of_last = registry.join(Arc::downgrade(&last));
        let other = thread::spawn({
            let (registry, new) = (registry.clone(), new.clone());
            move || {
                set_thread_number(0);
                let registration = registry.join(Arc::downgrade(&new));
                registry.leave(seat_of_last);
                registration
            }
        });
        let (members, are_all) = registry.members_at_once();
        assert!(!are_all || !members.is_empty(), "there was no such moment");
        registry.leave(other.join().expect("no panic"));
        assert!(registry.is_empty());
    });
}
