//! What a client has received.

use http_body::{Body, SizeHint};

use crate::world::{Item, Moment};

#[derive(Debug, Default)]
pub(crate) struct View {
    /// `None` if the client left before.
    pub(crate) head: Option<Moment>,
    /// The head is the layer's answer for a failed required task.
    pub(crate) head_failed: bool,
    /// The service failed instead of answering.
    pub(crate) failed: bool,
    pub(crate) items: Vec<Read>,
    /// The client has read the end.
    pub(crate) finished: bool,
    /// What further polls returned, and `is_end_stream` after each.
    pub(crate) past_end: Vec<(Item, bool)>,
}

#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) seen: Moment,
    pub(crate) item: Item,
    /// What the body returned before it was polled.
    pub(crate) forecast: Forecast,
}

/// What a body returns about the items to come.
#[derive(Debug, Clone)]
pub(crate) struct Forecast {
    pub(crate) hint: SizeHint,
    pub(crate) is_end: bool,
}

impl View {
    /// The body ends as the layer ends it for a failed required task.
    pub(crate) fn body_failed(&self) -> bool {
        self.items.iter().any(|read| read.item == Item::Failed)
    }

    /// The bytes of the body.
    pub(crate) fn bytes(&self) -> u64 {
        self.items.iter().map(|read| read.item.len()).sum()
    }
}

impl Forecast {
    pub(super) fn of(body: &impl Body) -> Self {
        Self {
            hint: body.size_hint(),
            is_end: body.is_end_stream(),
        }
    }
}
