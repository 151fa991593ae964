//! The service and its client.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::pin;

use bytes::Bytes;
use http::header::HeaderValue;
use http::{Request, Response};
use http_body::Body;
use tokio::time::sleep;
use tower::{Service, ServiceExt};

use super::gone;
use super::item::{Item, Told, item, says_failed};
use super::plan::{Client, Plan};
use super::run::FAILURE;
use super::view::{Read, Said, Seen, View};
use super::world::World;
use crate::clock::ms;

pub(super) async fn exchange<S, B>(plan: &Plan, world: &World, service: S, view: &RefCell<View>)
where
    S: Service<Request<()>, Response = Response<B>, Error = &'static str>,
    B: Body<Data = Bytes, Error: Told>,
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
        .is_ok_and(|response| response.status() == FAILURE || says_failed(response.headers()));
    {
        let mut view = view.borrow_mut();
        view.head = Some(Seen::now(world));
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
        read(plan, world, body, view).await;
    }
}

async fn read<B>(plan: &Plan, world: &World, body: B, view: &RefCell<View>)
where
    B: Body<Data = Bytes, Error: Told>,
{
    let mut body = pin!(body);
    let mut left = plan.body.total();
    let mut read = 0;
    let is_server = plan.client == Client::IsServer;
    let mut unsent = plan.server_length();
    if plan.is_grpc && unsent != Some(0) {
        // Which is HTTP/2: its trailers are asked for.
        unsent = None;
    }
    for frame in 0.. {
        if is_server && (unsent == Some(0) || body.is_end_stream()) {
            view.borrow_mut().finished = true;
            return;
        }
        match plan.client {
            Client::LeavesAfter(frames) if frame >= frames => return,
            Client::IsSlow(millis) => sleep(ms(millis)).await,
            _ => {}
        }
        // It is asked before each poll: while something is withheld too.
        let mut all_said = Vec::new();
        let polled = poll_fn(|cx| {
            all_said.push(Said::by(&*body));
            body.as_mut().poll_frame(cx)
        });
        let item = item(polled.await);
        let may_be_cut = gone::may_be_cut(plan, read + item.len());
        for said in &all_said {
            check_said(plan, said, &item, left, may_be_cut);
        }
        let said = all_said.swap_remove(0);
        left -= item.len();
        read += item.len();
        unsent = unsent.map(|unsent| unsent.saturating_sub(item.len()));
        let is_end = !matches!(item, Item::Data(_));
        let seen = Seen::now(world);
        let mut view = view.borrow_mut();
        view.items.push(Read { seen, item, said });
        if is_end {
            view.finished = true;
            return;
        }
    }
}

/// What a body says of what is to come is true, and exact, if what the inner one says is.
fn check_said(plan: &Plan, said: &Said, item: &Item, left: u64, may_be_cut: bool) {
    let Said { hint, is_end } = said;
    assert!(
        !is_end || *item == Item::End,
        "`is_end_stream` was true before {item:?}"
    );
    // It may have been dropped unsent.
    if plan.has_no_body() && *item == Item::End {
        return;
    }
    if !plan.is_truthful() || *item == Item::Failed || (may_be_cut && !plan.body.is_exact()) {
        return;
    }
    let is_true = hint.lower() <= left && hint.upper().is_none_or(|upper| upper >= left);
    assert!(is_true, "{hint:?} with {left} left before {item:?}");
    if plan.body.is_exact() {
        assert_eq!(hint.exact(), Some(left), "{hint:?}");
    }
}
