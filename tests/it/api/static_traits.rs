//! The auto traits and derived traits of the public types.

use std::error::Error;
use std::fmt::{Debug, Display};
use std::marker::PhantomData;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Response;
use http_body::Frame;
use http_body_util::Full;
use tower_task_tracker::{
    BodyError, DrainObserver, DrainReport, DrainSettings, FailWith, Fallible, Hold, Limit,
    LiveTask, MissingTaskTracker, Outcome, Plain, ResponseBody, ResponseFuture,
    RunToCompletionFuture, RunToCompletionLayer, RunToCompletionService, Scope, ShutdownReport,
    TaskBuilder, TaskInfo, TaskScopeFuture, TaskScopeLayer, TaskScopeService, TaskSpans, TaskState,
    TaskToken, TaskTrackerLayer, TaskTrackerService, Tasks, TrackedFuture, TrackerHandle,
    TrySpawnError, Unfinished, deadline,
};

fn is_send<T: Send>() {}

fn is_sync<T: Sync>() {}

fn is_clone<T: Clone>() {}

fn is_debug<T: Debug>() {}

fn is_unpin<T: Unpin>() {}

fn is_static<T: 'static>() {}

fn is_default<T: Default>() {}

fn is_unwind_safe<T: UnwindSafe + RefUnwindSafe>() {}

type Ready = std::future::Ready<Result<Response<Full<Bytes>>, ()>>;

type Body = ResponseBody<Full<Bytes>>;

type FailingScope = TaskScopeLayer<deadline::Sources<u8>, FailWith<()>>;

#[test]
fn a_handle_may_be_used_where_panics_are_caught() {
    is_unwind_safe::<TrackerHandle>();
}

#[test]
fn every_public_type_is_send_sync_and_debug() {
    macro_rules! check {
        ($($type:ty),* $(,)?) => {$(
            is_send::<$type>();
            is_sync::<$type>();
            is_debug::<$type>();
            is_unpin::<$type>();
            is_static::<$type>();
        )*};
    }
    check!(
        BodyError,
        Body,
        Limit,
        deadline::Source,
        deadline::Sources<u8>,
        DrainReport,
        DrainSettings,
        FailWith<()>,
        Fallible,
        Hold,
        LiveTask,
        MissingTaskTracker,
        Outcome,
        Plain,
        ResponseFuture<Ready>,
        RunToCompletionFuture<Ready>,
        RunToCompletionLayer,
        RunToCompletionService<()>,
        Scope,
        ShutdownReport,
        TrySpawnError<()>,
        TaskBuilder,
        TaskBuilder<Fallible>,
        TaskInfo,
        TaskScopeFuture<Ready>,
        TaskScopeFuture<Ready, FailWith<()>>,
        TaskScopeLayer,
        FailingScope,
        TaskScopeService<(), deadline::Sources<u8>, FailWith<()>>,
        TaskSpans,
        TaskState,
        TaskToken,
        TaskTrackerLayer,
        TaskTrackerService<()>,
        Tasks,
        TrackedFuture<Ready>,
        TrackedFuture<Ready, Fallible>,
        TrackerHandle,
        Unfinished,
    );
}

#[test]
fn types_that_users_copy_are_clone_and_types_with_a_default_are_default() {
    is_clone::<Limit>();
    is_clone::<deadline::Sources<u8>>();
    is_clone::<DrainReport>();
    is_clone::<DrainSettings>();
    is_clone::<TaskSpans>();
    is_clone::<FailWith<()>>();
    is_clone::<Hold>();
    is_clone::<LiveTask>();
    is_clone::<MissingTaskTracker>();
    is_clone::<Outcome>();
    is_clone::<ShutdownReport>();
    is_clone::<TrySpawnError<()>>();
    is_clone::<TaskInfo>();
    is_clone::<TaskState>();
    is_clone::<TaskToken>();
    is_clone::<Unfinished>();
    is_clone::<RunToCompletionLayer>();
    is_clone::<RunToCompletionService<()>>();
    is_clone::<Scope>();
    is_clone::<FailingScope>();
    is_clone::<TaskScopeService<(), deadline::Sources<u8>, FailWith<()>>>();
    is_clone::<TaskTrackerLayer>();
    is_clone::<TaskTrackerService<()>>();
    is_clone::<Tasks>();
    is_clone::<TrackerHandle>();
    is_default::<Body>();
    is_default::<DrainSettings>();
    is_default::<TaskSpans>();
    is_default::<Hold>();
    is_default::<RunToCompletionLayer>();
    is_default::<Scope>();
    is_default::<TaskScopeLayer>();
    is_default::<TaskTrackerLayer>();
    is_default::<TrackerHandle>();
}

#[test]
fn futures_and_bodies_are_unpin_only_where_what_they_wrap_is() {
    use std::marker::PhantomPinned;
    trait NotUnpin<Marker> {
        fn it() {}
    }
    struct Marker;
    impl<T: ?Sized> NotUnpin<()> for T {}
    impl<T: ?Sized + Unpin> NotUnpin<Marker> for T {}
    struct Fixed(PhantomPinned);
    impl Future for Fixed {
        type Output = Result<Response<Fixed>, ()>;

        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
            Poll::Pending
        }
    }
    impl http_body::Body for Fixed {
        type Data = Bytes;
        type Error = ();

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, ()>>> {
            Poll::Pending
        }
    }
    // Ambiguous, and so an error, if the type were `Unpin`.
    <TrackedFuture<Fixed> as NotUnpin<_>>::it();
    <ResponseFuture<Fixed> as NotUnpin<_>>::it();
    <ResponseBody<Fixed> as NotUnpin<_>>::it();
    <TaskScopeFuture<Fixed> as NotUnpin<_>>::it();
    // This one has it in a box.
    is_unpin::<RunToCompletionFuture<Fixed>>();
}

#[test]
fn closures_and_the_unit_are_neither_observers_nor_sources() {
    trait NotAnObserver<Marker> {
        fn it() {}
    }
    trait NoSource<Marker> {
        fn it() {}
    }
    struct Marker;
    impl<T: ?Sized> NotAnObserver<()> for T {}
    impl<T: ?Sized + DrainObserver> NotAnObserver<Marker> for T {}
    impl<T: ?Sized> NoSource<()> for T {}
    impl<T: ?Sized + deadline::DeadlineSource<u8>> NoSource<Marker> for T {}
    // Ambiguous, and so an error, if the type were one: a closure's parameter could not be inferred.
    <() as NotAnObserver<_>>::it();
    <fn(&DrainReport) as NotAnObserver<_>>::it();
    <() as NoSource<_>>::it();
    <fn(&u8) -> Option<tokio::time::Instant> as NoSource<_>>::it();
}

#[test]
fn a_future_that_may_keep_an_answer_is_send_only_where_the_error_of_its_service_is() {
    trait NotSend<Marker> {
        fn it() {}
    }
    struct Marker;
    impl<T: ?Sized> NotSend<()> for T {}
    impl<T: ?Sized + Send> NotSend<Marker> for T {}
    /// It is `Send`, whatever it gives.
    struct Gives<E>(PhantomData<fn() -> E>);
    impl<E> Future for Gives<E> {
        type Output = Result<Response<Full<Bytes>>, E>;

        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
            Poll::Pending
        }
    }
    type Boxed = Box<dyn Error>;
    is_send::<Gives<Boxed>>();
    // Ambiguous, and so an error, if the type were `Send`.
    <ResponseFuture<Gives<Boxed>> as NotSend<_>>::it();
    <TaskScopeFuture<Gives<Boxed>> as NotSend<_>>::it();
    // This one keeps no answer.
    is_send::<RunToCompletionFuture<Gives<Boxed>>>();
    is_send::<ResponseFuture<Gives<Box<dyn Error + Send>>>>();
    is_send::<TaskScopeFuture<Gives<Box<dyn Error + Send>>>>();
}

#[test]
fn errors_and_observers_are_what_their_users_expect() {
    fn is_error<T: Error + Display>() {}
    fn is_observer<T: DrainObserver + ?Sized>() {}
    is_error::<BodyError>();
    is_error::<MissingTaskTracker>();
    is_observer::<dyn DrainObserver>();
}
