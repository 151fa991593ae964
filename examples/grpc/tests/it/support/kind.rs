//! Calls with one answer and calls with a stream, for tests that check both.

use std::future::Future;

use tonic::Status;
use tower_task_tracker::Tasks;

use super::{RawAnswer, Shop, TestServer, Work, call, ready_steps};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Unary,
    Streaming,
}

impl Kind {
    pub(crate) const ALL: [Self; 2] = [Kind::Unary, Kind::Streaming];

    /// Returns a shop that answers such a call with one message, after `handler` has run.
    pub(crate) fn shop<F, A>(self, handler: F) -> Shop
    where
        F: FnOnce(Tasks) -> A + Send + 'static,
        A: Future<Output = Result<(), Status>> + Send + 'static,
    {
        match self {
            Kind::Unary => Shop::unary(async move |tasks| handler(tasks).await.map(|()| "taken")),
            Kind::Streaming => Shop::streaming(async move |tasks| {
                handler(tasks).await.map(|()| ready_steps([Ok("taken")]))
            }),
        }
    }

    /// Returns a shop that answers an order at once, and work that audits it when its gate is opened.
    pub(crate) fn audited_later(self) -> (Work, Shop) {
        let work = Work::new();
        let task = work.clone();
        let shop = self.shop(async move |tasks| {
            tasks.named("audit").spawn(task.complete());
            Ok(())
        });
        (work, shop)
    }

    pub(crate) fn method(self) -> &'static str {
        match self {
            Kind::Unary => "Place",
            Kind::Streaming => "Follow",
        }
    }
}

/// Makes a call of this kind, and waits for its head.
pub(crate) async fn ask(server: &TestServer, kind: Kind) -> RawAnswer {
    call(server.address, kind.method(), &[]).await
}
