//! A body that follows its script.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep};

use super::item::planned_trailers;
use super::{BodyGuard, Item, World};
use crate::clock::ms;
use crate::plan::{Ending, Length, Script, Step};

pub(crate) struct Scripted {
    world: World,
    steps: VecDeque<Step>,
    /// `None` once it was yielded.
    ending: Option<Ending>,
    length: Length,
    left: u64,
    shows_its_end: bool,
    wait: Option<Pin<Box<Sleep>>>,
    _guard: BodyGuard,
}

impl Scripted {
    pub(crate) fn new(script: &Script, world: World, guard: BodyGuard) -> Self {
        Self {
            _guard: guard,
            world,
            steps: script.steps.clone().into(),
            ending: Some(script.ending),
            length: script.length,
            left: script.total(),
            shows_its_end: script.shows_its_end,
            wait: None,
        }
    }

    fn record(&self, item: Item) {
        let yielded = (Instant::now(), item);
        self.world.record().yielded.push(yielded);
    }

    fn end(&mut self) -> Option<Result<Frame<Bytes>, &'static str>> {
        match self.ending.take() {
            Some(Ending::Trailers) => {
                self.record(Item::Trailers);
                Some(Ok(Frame::trailers(planned_trailers())))
            }
            Some(Ending::Error) => {
                self.record(Item::Error);
                Some(Err("planned"))
            }
            Some(Ending::EndMark) => {
                self.record(Item::End);
                None
            }
            None => {
                let is_past_end = self.world.record().is_past_end;
                assert!(is_past_end, "the layer polls the inner body past its end");
                None
            }
        }
    }
}

impl Body for Scripted {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        loop {
            if let Some(wait) = &mut self.wait {
                ready!(wait.as_mut().poll(cx));
                self.wait = None;
            }
            match self.steps.pop_front() {
                Some(Step::Wait(millis)) => {
                    self.wait = Some(Box::pin(sleep(ms(millis))));
                }
                Some(Step::Yield) => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Some(Step::Spawn(task)) => self.world.start(&task),
                Some(Step::Data(len)) => {
                    self.left -= len as u64;
                    // The bytes of a frame are its place, so that an exchange of frames is seen.
                    let data = Bytes::from(vec![self.steps.len() as u8; len]);
                    self.record(Item::Data(data.clone()));
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                None => return Poll::Ready(self.end()),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        let at_end = matches!(self.ending, None | Some(Ending::EndMark));
        self.shows_its_end && self.steps.is_empty() && self.wait.is_none() && at_end
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = SizeHint::default();
        match self.length {
            Length::Unknown | Length::Header(_) | Length::TwoHeaders => {}
            Length::Hint | Length::HintAndHeader => hint.set_exact(self.left),
            Length::WrongHint(by) => hint.set_exact(self.left.saturating_add_signed(by.into())),
            Length::Range => {
                hint.set_lower(self.left / 2);
                hint.set_upper(self.left + 1);
            }
        }
        hint
    }
}
