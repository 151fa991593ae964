//! A kept part of a request does not keep the request's span open.

use std::convert::Infallible;
use std::future::pending;

use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use tower::{Layer, Service, service_fn};
use tower_task_tracker::{Scope, TaskScopeLayer, TaskTrackerLayer, Tasks, named};
use tracing::{Instrument, info_span};

use super::{Kept, serve};
use crate::subscribers::closed::Closed;
use crate::support::{Body, after, current, full, put, request, tracked};

/// A way to keep something of a request.
type Keeper = (&'static str, fn(Tasks, &Kept));

const KEEPERS: [Keeper; 6] = [
    ("a `Tasks`", |tasks, kept| put(kept, Box::new(tasks))),
    ("a builder that spawns nothing", |tasks, kept| {
        put(kept, Box::new(tasks.named("never").required()));
    }),
    ("a scope that is not polled", |tasks, kept| {
        put(kept, Box::new(tasks.within(pending::<()>())));
    }),
    ("a scope that runs", |tasks, kept| {
        let socket = tokio::spawn(tasks.within(pending::<()>()));
        put(kept, Box::new(AbortOnDrop(socket)));
    }),
    ("a tokio-util tracker", |tasks, kept| {
        put(kept, Box::new(tasks.tracker().clone()));
    }),
    ("a `Tasks` in a task of its own", |tasks, kept| {
        let task = tokio::spawn(async move {
            pending::<()>().await;
            drop(tasks);
        });
        put(kept, Box::new(AbortOnDrop(task)));
    }),
];

struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_that_is_kept_of_a_request_keeps_its_span() {
    for (what, keep) in KEEPERS {
        for spawns in [false, true] {
            let (closed, kept) = (Closed::default(), Kept::default());
            let _watching = closed.watch();
            let to_keep = kept.clone();
            let service = tracked(&TaskTrackerLayer::new(), move || {
                keep(current(), &to_keep);
                if spawns {
                    named("audit").spawn(after(20));
                }
            });
            let answer = serve(service, request()).await.expect("infallible");
            drop(answer.into_body().collect().await);
            assert_eq!(closed.count("request"), 1, "{what}, with tasks: {spawns}");
            drop(kept);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_response_nothing_that_is_kept_keeps_the_span() {
    for (what, keep) in KEEPERS {
        let (closed, kept) = (Closed::default(), Kept::default());
        let _watching = closed.watch();
        let to_keep = kept.clone();
        let layer = TaskScopeLayer::new();
        let service = layer.layer(service_fn(move |(): ()| {
            keep(current(), &to_keep);
            async { Ok::<_, Infallible>(()) }
        }));
        let _ = serve(service, ()).await;
        assert_eq!(closed.count("request"), 1, "a service: {what}");

        let to_keep = kept.clone();
        let function = Scope::new().run(move |tasks| {
            keep(tasks, &to_keep);
            async {}
        });
        function.instrument(info_span!("function")).await;
        assert_eq!(closed.count("function"), 1, "a function: {what}");
    }
}

#[tokio::test(start_paused = true)]
async fn in_an_upgraded_exchange_nothing_that_is_kept_keeps_the_span() {
    for (what, keep) in KEEPERS {
        let (closed, kept) = (Closed::default(), Kept::default());
        let _watching = closed.watch();
        let to_keep = kept.clone();
        let service = TaskTrackerLayer::new().layer(service_fn(move |_: Request<()>| {
            keep(current(), &to_keep);
            let mut response = full("");
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            async { Ok::<_, Infallible>(response) }
        }));
        let answer = serve(service, request()).await;
        assert_eq!(closed.count("request"), 1, "{what}");
        drop((answer, kept));
    }
}

#[tokio::test(start_paused = true)]
async fn after_an_error_of_the_service_nothing_that_is_kept_keeps_the_span() {
    for (what, keep) in KEEPERS {
        let (closed, kept) = (Closed::default(), Kept::default());
        let _watching = closed.watch();
        let to_keep = kept.clone();
        let service = TaskTrackerLayer::new().layer(service_fn(move |_: Request<()>| {
            keep(current(), &to_keep);
            async { Err::<Response<Body>, _>("no") }
        }));
        assert!(serve(service, request()).await.is_err());
        assert_eq!(closed.count("request"), 1, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_future_that_has_answered_does_not_keep_the_span() {
    for keeps in [false, true] {
        let (closed, kept) = (Closed::default(), Kept::default());
        let _watching = closed.watch();
        let to_keep = kept.clone();
        let mut service = TaskTrackerLayer::new().layer(service_fn(move |_: Request<()>| {
            if keeps {
                put(&to_keep, Box::new(current()));
            }
            async { Err::<Response<Body>, _>("no") }
        }));
        let answered = info_span!("request").in_scope(|| service.call(request()));
        let mut answered = Box::pin(answered);
        assert!((&mut answered).await.is_err());
        assert_eq!(closed.count("request"), 1, "with a kept `Tasks`: {keeps}");
    }
}
