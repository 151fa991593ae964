//! What a client has received.

use http_body::{Body, SizeHint};
use tokio::time::Instant;

use super::item::Item;
use super::world::World;

#[derive(Debug, Default)]
pub(super) struct View {
    /// `None` if it left before.
    pub(super) head: Option<Seen>,
    /// The head says that a required task has failed.
    pub(super) head_failed: bool,
    /// The service failed instead of answering.
    pub(super) failed: bool,
    pub(super) items: Vec<Read>,
    /// It has read the end.
    pub(super) finished: bool,
}

#[derive(Debug)]
pub(super) struct Read {
    pub(super) seen: Seen,
    pub(super) item: Item,
    /// What the body said before.
    pub(super) said: Said,
}

/// What a body says of what is to come.
#[derive(Debug, Clone)]
pub(super) struct Said {
    pub(super) hint: SizeHint,
    pub(super) is_end: bool,
}

/// The moment at which something was seen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    pub(super) at: Instant,
    pub(super) alive: usize,
    pub(super) none_alive_since: Option<Instant>,
    pub(super) hooked: Option<Instant>,
    pub(super) no_required_since: Option<Instant>,
    pub(super) required_alive: bool,
    pub(super) body_gone: Option<Instant>,
    /// A task that the response depends on had failed, or was not done.
    pub(super) required_missing: bool,
}

impl Said {
    pub(super) fn by(body: &impl Body) -> Self {
        Self {
            hint: body.size_hint(),
            is_end: body.is_end_stream(),
        }
    }
}

impl Seen {
    pub(super) fn now(world: &World) -> Self {
        let facts = world.facts();
        Self {
            at: Instant::now(),
            alive: facts.alive,
            none_alive_since: facts.none_alive_since,
            hooked: facts.hooked,
            no_required_since: facts.no_required_since,
            required_alive: facts.required_alive > 0,
            body_gone: facts.body_gone,
            required_missing: facts.required_failed || facts.required_alive > 0,
        }
    }
}
