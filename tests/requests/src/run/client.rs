//! The client of the service.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::{Pin, pin};

use bytes::Bytes;
use http::header::HeaderValue;
use http::{Request, Response};
use http_body::Body;
use tokio::time::{sleep, timeout};
use tower::{Service, ServiceExt};

use super::view::{Forecast, Read, View};
use super::{FAILURE, NEVER};
use crate::check::check_forecast;
use crate::clock::ms;
use crate::plan::{Client, Plan};
use crate::world::{BodyFailure, Item, World, is_grpc_failure, item};

pub(super) async fn exchange<S, B>(plan: &Plan, world: &World, service: S, view: &RefCell<View>)
where
    S: Service<Request<()>, Response = Response<B>, Error = &'static str>,
    B: Body<Data = Bytes, Error: BodyFailure>,
{
    let mut request = Request::new(());
    *request.method_mut() = plan.method.clone();
    *request.version_mut() = plan.version;
    if let Some((millis, _)) = plan.window.client_timeout {
        let timeout = HeaderValue::try_from(format!("{millis}m")).expect("ASCII");
        request.headers_mut().insert("grpc-timeout", timeout);
    }
    let result = service.oneshot(request).await;
    let head_failed = result
        .as_ref()
        .is_ok_and(|head| head.status() == FAILURE || is_grpc_failure(head.headers()));
    {
        let mut view = view.borrow_mut();
        view.head = Some(world.now());
        view.head_failed = head_failed;
        view.failed = result.is_err();
        view.finished = result.is_err() || head_failed;
    }
    let Ok(response) = result else {
        return;
    };
    let body = response.into_body();
    if head_failed {
        assert!(body.is_end_stream(), "a failed head has no body");
    } else if !plan.is_read() {
        view.borrow_mut().finished = true;
    } else {
        read(plan, world, pin!(body), view).await;
    }
}

async fn read<B>(plan: &Plan, world: &World, mut body: Pin<&mut B>, view: &RefCell<View>)
where
    B: Body<Data = Bytes, Error: BodyFailure>,
{
    let mut left = plan.body.total();
    let is_server = plan.client == Client::ReadsAsServer;
    let mut unsent = plan.server_length();
    if plan.is_grpc && unsent != Some(0) {
        // gRPC is HTTP/2: a server asks for the trailers.
        unsent = None;
    }
    for frame in 0.. {
        if is_server && (unsent == Some(0) || body.is_end_stream()) {
            view.borrow_mut().finished = true;
            return;
        }
        match plan.client {
            Client::LeavesAfterFrames(frames) if frame >= frames => return,
            Client::ReadsSlowly(millis) => sleep(ms(millis)).await,
            _ => {}
        }
        // Before each poll: while something is withheld too.
        let mut forecasts = Vec::new();
        let polled = poll_fn(|cx| {
            forecasts.push(Forecast::of(&*body));
            body.as_mut().poll_frame(cx)
        });
        let item = item(polled.await);
        for forecast in &forecasts {
            check_forecast(plan, forecast, &item, left);
        }
        left -= item.len();
        unsent = unsent.map(|unsent| unsent.saturating_sub(item.len()));
        let is_end = !matches!(item, Item::Data(_));
        let read = Read {
            seen: world.now(),
            item,
            forecast: forecasts.swap_remove(0),
        };
        view.borrow_mut().items.push(read);
        if is_end {
            view.borrow_mut().finished = true;
            return read_past_end(world, body, view).await;
        }
    }
}

async fn read_past_end<B>(world: &World, mut body: Pin<&mut B>, view: &RefCell<View>)
where
    B: Body<Data = Bytes, Error: BodyFailure>,
{
    world.record().is_past_end = true;
    for _ in 0..2 {
        let polled = timeout(NEVER, poll_fn(|cx| body.as_mut().poll_frame(cx))).await;
        let item = item(polled.expect("a poll past the end returns at once"));
        let is_end = body.is_end_stream();
        view.borrow_mut().past_end.push((item, is_end));
    }
}
