//! The ordinary case of a held answer, on a short path: its body is complete.

use std::pin::Pin;
use std::task::{Context, Poll};

use http::Response;
use http_body::Body;

use super::answer::{Answer, Plan};
use super::body::{Head, Kept, Peeked, ResponseBody};
use super::hold::{Exchange, Facts, Held, held};
use crate::drain::Drain;
use crate::request::tuning::Answered;
use crate::settings::AnswerSettings;

/// An answer that is held with its complete body. Nothing is written into its head.
pub(super) struct Whole<B: Body> {
    /// The head, and all data of the body.
    kept: Pin<Box<Kept<B>>>,
}

/// Returns the exact length of a body whose answer may become a [`Whole`]. Otherwise returns zero. The conditions are:
///
/// * the head is held if the body is complete;
/// * nothing is written into the head;
/// * a task is alive;
/// * there is no hook.
#[inline]
pub(super) fn held_length(facts: &Facts, answered: &Answered) -> u64 {
    let AnswerSettings {
        server_timing,
        report_extension,
        ..
    } = answered.settings;
    let is_plain = server_timing != Some(true) && report_extension != Some(true);
    if !is_plain || !answered.is_busy || answered.has_hooks {
        return 0;
    }
    match held(facts) {
        Held::HeadIfWhole(length) => length,
        _ => 0,
    }
}

impl<B: Body> Whole<B> {
    /// Makes an answer whose body was not polled yet. Call [`peek`](Self::peek) next.
    #[inline(always)]
    pub(super) fn new(response: Response<B>, length: u64, settings: AnswerSettings) -> Self {
        let (parts, body) = response.into_parts();
        Self {
            kept: Kept::with_head(body, parts, settings, length),
        }
    }

    /// Polls the body for its first frame.
    ///
    /// # Errors
    ///
    /// If the answer needs the longer path: the body is not complete, or its end has to be passed on too.
    #[inline(always)]
    pub(super) fn peek(
        &mut self,
        length: u64,
        is_http1: bool,
        drain: &mut Drain,
        cx: &mut Context<'_>,
    ) -> Result<(), Peeked> {
        let peeked = self.kept.as_mut().peek(length, is_http1, drain, cx);
        if peeked == Peeked::Whole && self.kept.is_only_frame() {
            Ok(())
        } else {
            Err(peeked)
        }
    }

    /// Ready when the head may go out. The value is true if the request has ended in the same step. It is false if the
    /// answer needs the longer path.
    #[inline(always)]
    pub(super) fn poll_released(&mut self, drain: &mut Drain, cx: &mut Context<'_>) -> Poll<bool> {
        match self.kept.as_mut().head_mut() {
            Some(head) => drain.poll_plain_wait(&mut head.timer, cx),
            None => unreachable!("the head is taken only at the end"),
        }
    }

    /// Returns the response for the server.
    #[inline(always)]
    pub(super) fn into_response(mut self) -> Response<ResponseBody<B>> {
        match self.kept.as_mut().take_head() {
            Some(head) => Response::from_parts(head.parts, ResponseBody::of_kept(self.kept)),
            None => unreachable!("the head is taken only at the end"),
        }
    }

    /// Makes an [`Answer`], for the longer path. `peeked`: the result of [`peek`](Self::peek).
    #[cold]
    pub(super) fn into_answer<E>(
        mut self,
        exchange: Exchange,
        peeked: Peeked,
    ) -> Box<Answer<B, E>> {
        let Some(Head {
            parts,
            settings,
            length,
            timer: _,
        }) = self.kept.as_mut().take_head()
        else {
            unreachable!("the head is taken only at the end")
        };
        let body = ResponseBody::of_kept(self.kept);
        Box::new(Answer {
            result: Ok(Response::from_parts(parts, body)),
            plan: Plan::of_peeked(settings, exchange, length, peeked),
        })
    }
}
