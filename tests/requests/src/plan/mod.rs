//! What a request does, as data. All times are in milliseconds.

mod choose;
mod script;
mod task;

use http::{Method, StatusCode, Version};
use tower_task_tracker::{Hold, Unfinished};

pub(crate) use self::script::{Ending, Length, Script, Step};
pub(crate) use self::task::{HandOff, Kind, Task, TaskEnd};

/// One request, from its handler to its client.
#[derive(Debug, Clone)]
pub struct Plan {
    pub(crate) client: Client,
    pub(crate) hold: Hold,
    pub(crate) method: Method,
    pub(crate) version: Version,
    pub(crate) status: StatusCode,
    pub(crate) is_grpc: bool,
    pub(crate) window: Window,
    /// What is awaited before the release.
    pub(crate) hook: Option<Hook>,
    pub(crate) handler_takes: u64,
    pub(crate) handler_fails: bool,
    pub(crate) tasks: Vec<Task>,
    /// How long a task in the request's tokio-util tracker takes.
    pub(crate) tracker_task: Option<u64>,
    pub(crate) body: Script,
}

/// How long the response may wait, and what happens then.
#[derive(Debug, Clone)]
pub(crate) struct Window {
    pub(crate) drain_timeout: DrainTimeout,
    pub(crate) total_timeout: Option<u64>,
    /// The client's timeout, and the least that its source grants.
    pub(crate) client_timeout: Option<(u64, u64)>,
    pub(crate) at_deadline: Unfinished,
    pub(crate) at_disconnect: Unfinished,
    pub(crate) hand_off_grace: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DrainTimeout {
    Default,
    Set(Option<u64>),
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Hook {
    pub(crate) takes: u64,
    pub(crate) panics: bool,
}

/// How the response is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Client {
    ReadsAll,
    /// As hyper reads for HTTP/1: it drops the body as soon as nothing can follow, and does not poll it if nothing is
    /// to be sent.
    ReadsAsServer,
    /// It takes so long for each frame.
    ReadsSlowly(u64),
    /// It drops the future or the body at this time.
    LeavesAt(u64),
    /// It drops the body after so many frames.
    LeavesAfterFrames(u64),
    /// It drops the future or the body after so many polls.
    LeavesAfterPolls(u64),
}

impl Plan {
    /// `None` is no limit.
    pub(crate) fn drain_timeout(&self) -> Option<u64> {
        match self.window.drain_timeout {
            // As documented.
            DrainTimeout::Default => Some(25_000),
            DrainTimeout::Set(timeout) => timeout,
        }
    }

    pub(crate) fn has_nothing_to_wait_for(&self) -> bool {
        let spawns = !self.tasks.is_empty() || self.body.tasks().next().is_some();
        !spawns && self.tracker_task.is_none() && self.hook.is_none()
    }

    /// Whether the exchange goes on after the head: RFC 9110, sections 7.8 and 9.3.6.
    pub(crate) fn is_upgraded(&self) -> bool {
        let connects = self.method == Method::CONNECT && self.status.is_success();
        !self.handler_fails && (connects || self.status == StatusCode::SWITCHING_PROTOCOLS)
    }

    /// Whether the client polls the body. No server polls that of an upgraded exchange, and a task that such a body
    /// spawns has no request.
    pub(crate) fn is_read(&self) -> bool {
        !self.is_upgraded() || self.body.tasks().next().is_none()
    }

    pub(crate) fn is_http1(&self) -> bool {
        self.version < Version::HTTP_2
    }

    /// Whether something may be held.
    pub(crate) fn holds(&self) -> bool {
        self.hold != Hold::Never && !self.is_upgraded()
    }

    /// Whether the client asks at once for what comes next.
    pub(crate) fn is_punctual(&self) -> bool {
        !matches!(self.client, Client::ReadsSlowly(_))
    }

    /// Whether the client may leave between any two polls.
    pub(crate) fn leaves_any_time(&self) -> bool {
        matches!(
            self.client,
            Client::LeavesAt(_) | Client::LeavesAfterPolls(_)
        )
    }

    pub(crate) fn has_no_body(&self) -> bool {
        let status = self.status;
        self.method == Method::HEAD
            || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
    }

    pub(crate) fn ends_with_head(&self) -> bool {
        let body = &self.body;
        self.has_no_body() || body.is_end_known(&body.steps) || body.known_length() == Some(0)
    }

    /// The number of bytes after which an HTTP/1 server drops the body.
    pub(crate) fn server_length(&self) -> Option<u64> {
        if self.has_no_body() {
            return Some(0);
        }
        self.body.known_length()
    }

    /// Whether a frame past the length may be missing, with so many bytes read: an HTTP/1 server does not ask for it.
    pub(crate) fn may_be_cut(&self, read: u64) -> bool {
        let length = self.body.known_length();
        self.is_http1() && length.is_some_and(|length| read >= length)
    }
}
