//! The `before_release` hooks: futures that are awaited before a response is released.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use crate::report::DrainReport;
use crate::request::Request;
use crate::settings::Hook;
use crate::{panics, trace};

/// The hooks of one request. Each runs once, one after the other.
#[derive(Default)]
pub(super) enum Hooks {
    /// There are no hooks, or all have run.
    #[default]
    Done,
    /// The hooks run when the tasks are done.
    Waiting,
    Running(Box<Running>),
}

pub(super) struct Running {
    report: Arc<DrainReport>,
    /// The hook that runs. The lock is never taken: it only makes the future `Sync`.
    current: Option<Mutex<Pin<Box<dyn Future<Output = ()> + Send>>>>,
    rest: std::vec::IntoIter<Arc<Hook>>,
}

impl Hooks {
    pub(super) fn are_done(&self) -> bool {
        matches!(self, Hooks::Done)
    }

    pub(super) fn are_waiting(&self) -> bool {
        matches!(self, Hooks::Waiting)
    }

    pub(super) fn await_them(&mut self) {
        *self = Hooks::Waiting;
    }

    pub(super) fn start(&mut self, hooks: Vec<Arc<Hook>>, report: Arc<DrainReport>) {
        *self = Hooks::Running(Box::new(Running {
            report,
            current: None,
            rest: hooks.into_iter(),
        }));
    }

    /// Drops the hook that runs, and the rest. A panic of a destructor is caught.
    pub(super) fn stop(&mut self) {
        let running = std::mem::take(self);
        let _ = panics::caught(|| drop(running));
    }

    /// Polls the hooks in the request's span. A panic is logged and ends its hook; the next hook runs.
    pub(super) fn poll(&mut self, request: &Request, cx: &mut Context<'_>) -> Poll<()> {
        while let Hooks::Running(running) = self {
            let Running {
                report,
                current,
                rest,
            } = &mut **running;
            let step = || {
                let step = panics::caught(|| {
                    if current.is_none() {
                        let next = rest.next().map(|hook| hook(report.clone()));
                        *current = next.map(Mutex::new);
                    }
                    let future = current.as_mut()?;
                    let future = future.get_mut().unwrap_or_else(PoisonError::into_inner);
                    Some(future.as_mut().poll(cx))
                });
                step.map_or_else(
                    |message| {
                        trace::callback_panicked(message.as_deref());
                        Poll::Ready(())
                    },
                    |polled| polled.unwrap_or(Poll::Ready(())),
                )
            };
            // If the subscriber panics, the hook ends as well.
            let polled = request.in_span(step).unwrap_or(Poll::Ready(()));
            if polled.is_pending() {
                return Poll::Pending;
            }
            let _ = panics::caught(|| *current = None);
            if rest.len() == 0 {
                *self = Hooks::Done;
            }
        }
        Poll::Ready(())
    }
}
