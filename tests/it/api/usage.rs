//! Closures, sources, hooks and builders as users write them.

use std::sync::Arc;

use http::request::Parts;
use tokio::time::Instant;
use tower::Layer;
use tower_task_tracker::deadline::{
    DeadlineSource, Source, from_env, lambda_web_adapter, prefer_wait, unix_millis,
};
use tower_task_tracker::{
    DrainReport, RunToCompletionLayer, Scope, TaskScopeLayer, TaskTrackerLayer, Tasks, named,
};

use crate::support::ms;

#[test]
fn sources_and_hooks_are_given_as_closures_and_made_ones() {
    let layer = sources();
    let names =
        r#"sources: ["deadline source", "deadline source", "unix-millis", "unix-millis", "b", "#;
    assert!(format!("{layer:?}").contains(names), "{layer:?}");
    drop(chosen(prefer_wait()));
}

fn sources() -> TaskTrackerLayer {
    let runtime_made: Source = Source::new("mine", |_: &Parts| None);
    TaskTrackerLayer::new()
        .deadline_from(|parts| parts.extensions.get::<Instant>().copied())
        .deadline_from(|parts| {
            let _ = &parts.uri;
            Some(Instant::now())
        })
        .deadline_source(unix_millis(|parts: &Parts| {
            parts.headers.get("x-deadline")?.to_str().ok()?.parse().ok()
        }))
        .deadline_source(
            unix_millis(|parts: &Parts| parts.extensions.get::<u64>().copied()).margin(ms(1)),
        )
        .deadline_source(
            from_env("A")
                .from_client()
                .named("b")
                .margin(ms(1))
                .at_least(ms(1)),
        )
        .deadline_source(lambda_web_adapter().margin(ms(1)))
        .deadline_source(prefer_wait())
        .deadline_source(runtime_made)
        .before_release(|report| async move { drop(report) })
        .before_release(async |report: Arc<DrainReport>| drop(report))
        .before_release(|_| std::future::ready(()))
        .drain_timeout(None)
        .total_timeout(Some(ms(1)))
        .total_timeout(ms(1))
}

fn chosen(source: impl DeadlineSource) -> TaskTrackerLayer {
    TaskTrackerLayer::new().deadline_source(source)
}

#[test]
fn a_closure_for_reports_needs_no_types() {
    drop(TaskTrackerLayer::new().on_drain(|report| drop(report.to_string())));
    drop(TaskScopeLayer::new().on_drain(|report| drop(report.to_string())));
    drop(Scope::new().on_drain(|report| drop(report.to_string())));
    let observed = |report: &DrainReport| drop(report.to_string());
    drop(Scope::new().on_drain(observed).on_drain(|_| {}));
}

#[test]
fn the_inner_service_can_be_reached_through_each_of_ours() {
    struct Named(u8);
    macro_rules! check {
        ($($layer:expr),*) => {$(
            let mut service = $layer.layer(Named(7));
            assert_eq!(service.get_ref().0, 7, "{}", stringify!($layer));
            service.get_mut().0 = 8;
            assert_eq!(service.into_inner().0, 8, "{}", stringify!($layer));
        )*};
    }
    check!(
        TaskTrackerLayer::new(),
        TaskScopeLayer::new(),
        RunToCompletionLayer::new()
    );
}

#[tokio::test]
async fn a_task_is_built_in_any_order() {
    let ((), report) = tower_task_tracker::scope(builders).await;
    assert_eq!((report.spawned, report.failed), (4, 1), "{report}");
}

async fn builders(tasks: Tasks) {
    let _ = named("a")
        .required()
        .spawn(async { Ok::<_, std::io::Error>(()) })
        .await;
    let _ = named("a")
        .required()
        .detached()
        .spawn_blocking(|| Ok::<_, String>(1))
        .await;
    let _ = tasks
        .task()
        .fallible()
        .required()
        .try_spawn(async { Err::<(), _>("x") });
    let _ = tasks
        .named("a")
        .fallible()
        .track_future(async { Ok::<_, Box<dyn std::error::Error + Send + Sync>>(()) })
        .await;
    let _token = tasks.task().required().token();
    tasks.set_drain_timeout(None);
    tasks.set_drain_timeout(ms(1));
    tasks.set_drain_timeout(Some(ms(1)));
}
