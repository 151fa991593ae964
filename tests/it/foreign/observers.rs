//! Observers that panic.

use tower_task_tracker::{DrainObserver, DrainReport, TaskInfo, TaskTrackerLayer, spawn};

use super::scenes::Scene;
use super::stage::{Hostile, planned, play};
use super::subscribers::Hook;
use crate::support::{Log, after, held, ms};

/// The one that panics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Callback {
    Drain,
    LateSpawn,
    LateEnd,
}

/// Panics in one callback, if any.
pub(super) struct Interfering(pub(super) Option<Callback>);

impl Interfering {
    fn called(&self, callback: Callback) {
        if self.0 == Some(callback) {
            planned();
        }
    }
}

impl DrainObserver for Interfering {
    fn on_drain(&self, _: &DrainReport) {
        self.called(Callback::Drain);
    }
    fn on_late_spawn(&self, _: &TaskInfo) {
        self.called(Callback::LateSpawn);
    }
    fn on_late_end(&self, _: &TaskInfo) {
        self.called(Callback::LateEnd);
    }
}

pub(super) fn is_the_same_where_one_panics(scene: &'static Scene) {
    let calm = play(scene, Hostile::default());
    for callback in [Callback::Drain, Callback::LateSpawn, Callback::LateEnd] {
        let hostile = Hostile {
            observer: Some(callback),
            ..Hostile::default()
        };
        assert_eq!(play(scene, hostile), calm, "{callback:?}");
    }
}

/// The panic is logged, and that panics too.
pub(super) fn is_the_same_where_the_log_of_the_panic_panics(scene: &'static Scene) {
    let calm = play(scene, Hostile::default());
    for callback in [Callback::Drain, Callback::LateSpawn, Callback::LateEnd] {
        let hostile = Hostile {
            observer: Some(callback),
            subscriber: Some(Hook::Event),
            ..Hostile::default()
        };
        assert_eq!(play(scene, hostile), calm, "{callback:?}");
    }
}

/// What a panic carries is dropped where it is caught.
#[tokio::test(start_paused = true)]
async fn a_panic_that_panics_again_when_it_is_dropped_is_caught() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            planned();
        }
    }
    let log = Log::default();
    let layer = TaskTrackerLayer::new()
        .on_drain(|_| std::panic::resume_unwind(Box::new(Bomb)))
        .observer(log.clone())
        .before_release(|_| async { std::panic::resume_unwind(Box::new(Bomb)) });
    let spawns = || {
        spawn(async {
            after(20).await;
            std::panic::resume_unwind(Box::new(Bomb));
        });
    };
    assert_eq!(held(&layer, spawns).await, ms(20));
    assert_eq!(log.report().panicked, 1);
    layer.handle().wait_idle().await;
}
