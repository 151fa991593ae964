//! What a request does, as data made from the fuzzer's bytes. All times are in milliseconds. A byte of zero selects
//! the plainest choice, so that a short input is a simple request.

use arbitrary::{Arbitrary, Unstructured};
use http::{Method, StatusCode, Version};
use tower_task_tracker::{Hold, Unfinished};

use super::choices::{client, drain_timeout, hold, method, short, status, unfinished, version};
use super::script::{Ending, Length, Script};
use super::task::{Task, wait_for_body};
use crate::bytes::{few, rarely};

/// One request, from its handler to its client.
#[derive(Debug, Clone)]
pub struct Plan {
    pub(super) method: Method,
    pub(super) version: Version,
    pub(super) status: StatusCode,
    pub(super) hold: Hold,
    pub(super) is_grpc: bool,
    pub(super) window: Window,
    /// What is awaited before the release.
    pub(super) hook: Option<Hook>,
    pub(super) handler_takes: u64,
    pub(super) handler_fails: bool,
    pub(super) tasks: Vec<Task>,
    /// A task in the tokio-util tracker takes so long.
    pub(super) anonymous: Option<u64>,
    pub(super) body: Script,
    pub(super) client: Client,
}

// By hand: a derived one refuses every input that is shorter than its guess.
impl<'a> Arbitrary<'a> for Plan {
    fn arbitrary(u: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let (client, hold, tasks) = (client(u)?, hold(u)?, few(u)?);
        let (body, mut window): (Script, Window) = (u.arbitrary()?, u.arbitrary()?);
        // Behind the held head of a stream it would wait without end.
        let waits = wait_for_body(&tasks) || body.waits_for_itself();
        if waits && window.drain_timeout == DrainTimeout::Set(None) {
            window.drain_timeout = DrainTimeout::Default;
        }
        Ok(Self {
            client,
            hold,
            tasks,
            body,
            window,
            handler_takes: short(u)?,
            method: method(u)?,
            version: version(u)?,
            status: status(u)?,
            is_grpc: u.int_in_range(0..=3)? == 3,
            handler_fails: rarely(u)?.unwrap_or_default(),
            hook: rarely(u)?,
            anonymous: rarely::<u8>(u)?.map(|takes| u64::from(takes % 60)),
        })
    }
}

/// For how long the response may wait, and what comes then.
#[derive(Debug, Clone, Arbitrary)]
pub(super) struct Window {
    #[arbitrary(with = drain_timeout)]
    pub(super) drain_timeout: DrainTimeout,
    #[arbitrary(with = rarely)]
    pub(super) total_timeout: Option<u8>,
    /// How long the client says it waits, and the least that its source grants.
    #[arbitrary(with = rarely)]
    pub(super) client_timeout: Option<(u8, u8)>,
    #[arbitrary(with = unfinished)]
    pub(super) at_deadline: Unfinished,
    #[arbitrary(with = unfinished)]
    pub(super) at_disconnect: Unfinished,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DrainTimeout {
    Default,
    Set(Option<u64>),
}

#[derive(Debug, Clone, Copy, Arbitrary)]
pub(super) struct Hook {
    #[arbitrary(with = short)]
    pub(super) takes: u64,
    pub(super) panics: bool,
}

/// What reads the response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Client {
    ReadsOn,
    /// Reads as hyper does for HTTP/1: it drops the body as soon as nothing can follow, and does not
    /// poll it at all if nothing is to be sent.
    IsServer,
    /// Takes so long for each frame.
    IsSlow(u64),
    /// Drops whatever there is, future or body, at this time.
    LeavesAt(u64),
    /// Drops the body after so many frames.
    LeavesAfter(usize),
    /// Drops whatever there is after so many polls.
    LeavesAfterPolls(usize),
}

impl Plan {
    /// `None` is no limit.
    pub(super) fn drain_timeout(&self) -> Option<u64> {
        match self.window.drain_timeout {
            // As documented.
            DrainTimeout::Default => Some(25_000),
            DrainTimeout::Set(timeout) => timeout,
        }
    }

    /// The exchange goes on after the head: RFC 9110, sections 7.8 and 9.3.6.
    pub(super) fn is_upgraded(&self) -> bool {
        let connects = self.method == Method::CONNECT && self.status.is_success();
        !self.handler_fails && (connects || self.status == StatusCode::SWITCHING_PROTOCOLS)
    }

    /// Whether anybody asks for the body. No server does in an upgraded exchange, and what such a body
    /// spawns would be nobody's.
    pub(super) fn is_read(&self) -> bool {
        !self.is_upgraded() || self.body.tasks() == 0
    }

    pub(super) fn is_http1(&self) -> bool {
        self.version < Version::HTTP_2
    }

    /// Whether something may be kept back.
    pub(super) fn holds(&self) -> bool {
        self.hold != Hold::Never && !self.is_upgraded()
    }

    /// Whether the client may leave between any two polls.
    pub(super) fn leaves_any_time(&self) -> bool {
        matches!(
            self.client,
            Client::LeavesAt(_) | Client::LeavesAfterPolls(_)
        )
    }

    pub(super) fn has_no_body(&self) -> bool {
        let status = self.status;
        self.method == Method::HEAD
            || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
    }

    pub(super) fn ends_with_head(&self) -> bool {
        let body = &self.body;
        let ends_at_once =
            body.knows_its_end && body.steps.is_empty() && body.ending == Ending::EndMark;
        self.has_no_body() || ends_at_once || body.known_length() == Some(0)
    }

    /// The bytes after which an HTTP/1 server drops the body.
    pub(super) fn server_length(&self) -> Option<u64> {
        if self.has_no_body() {
            return Some(0);
        }
        self.body.known_length()
    }

    /// Whether what the body says of its length is true.
    pub(super) fn is_truthful(&self) -> bool {
        !matches!(self.body.length, Length::WrongHint(_))
    }
}
