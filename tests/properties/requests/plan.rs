//! What a request does, as data that `proptest` can generate and shrink.

use http::{Method, StatusCode, Version};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use tower_task_tracker::{Hold, Unfinished};

use crate::support::ms;

/// One request, from its handler to its client. Times are in milliseconds.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) method: Method,
    pub(super) version: Version,
    pub(super) status: StatusCode,
    pub(super) hold: Hold,
    pub(super) drain_timeout: Option<u64>,
    pub(super) total_timeout: Option<u64>,
    /// How long the client says it waits, and the least that its source grants.
    pub(super) client_timeout: Option<(u64, u64)>,
    pub(super) at_deadline: Unfinished,
    pub(super) at_disconnect: Unfinished,
    /// How long that takes which is awaited before the release.
    pub(super) hook: Option<u64>,
    pub(super) handler_takes: u64,
    pub(super) handler_fails: bool,
    pub(super) tasks: Vec<Task>,
    /// A task in the tokio-util tracker takes so long.
    pub(super) anonymous: Option<u64>,
    pub(super) body: Script,
    pub(super) client: Client,
}

/// A task, the tasks it spawns when it has run for half its time, and how it ends.
#[derive(Debug, Clone)]
pub(super) struct Task {
    pub(super) takes: u64,
    pub(super) children: Vec<Task>,
    pub(super) end: TaskEnd,
    pub(super) kind: Kind,
    /// When its time is over, it waits for the drop of the body.
    pub(super) waits_for_body: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TaskEnd {
    Completes,
    /// It stops as soon as it is asked to.
    Heeds,
    Fails,
    Panics,
    Aborted,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Plain,
    Required,
    Detached,
}

#[derive(Debug, Clone)]
pub(super) struct Script {
    pub(super) steps: Vec<Step>,
    pub(super) ending: Ending,
    pub(super) length: Length,
    /// Whether `is_end_stream` tells the truth, or always says that it does not know.
    pub(super) knows_its_end: bool,
}

#[derive(Debug, Clone)]
pub(super) enum Step {
    Data(usize),
    Wait(u64),
    Spawn(Task),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    EndMark,
    Trailers,
    Error,
}

/// What is said of the length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    Unknown,
    Hint,
    /// A hint that is off by so many bytes.
    WrongHint(i8),
    Header,
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
}

pub(super) fn plan() -> impl Strategy<Value = Plan> {
    let method = prop_oneof![6 => Just(Method::GET), 1 => Just(Method::HEAD)];
    let version = prop_oneof![Just(Version::HTTP_11), Just(Version::HTTP_2)];
    let status = prop_oneof![
        8 => Just(StatusCode::OK),
        1 => Just(StatusCode::INTERNAL_SERVER_ERROR),
        1 => Just(StatusCode::NO_CONTENT),
        1 => Just(StatusCode::NOT_MODIFIED),
    ];
    let hold = prop_oneof![
        4 => Just(Hold::Auto),
        2 => Just(Hold::Head),
        2 => Just(Hold::End),
        1 => Just(Hold::Required),
        1 => Just(Hold::Never),
    ];
    let fails = prop::bool::weighted(0.1);
    let anonymous = prop::option::weighted(0.1, 0..60u64);
    let rarely = |range| prop::option::weighted(0.15, range);
    let request = (method, version, status, hold, 0..20u64, fails, anonymous);
    let window = (
        of(0..60u64),
        rarely(0..60u64),
        prop::option::weighted(0.15, (0..60u64, 0..20u64)),
        unfinished(),
        unfinished(),
        rarely(0..40u64),
    );
    let parts = (request, window, vec(task(), 0..4), script(), client());
    parts.prop_map(|(request, window, tasks, body, client)| {
        let (method, version, status, hold, handler_takes, handler_fails, anonymous) = request;
        let (drain_timeout, total_timeout, client_timeout, at_deadline, at_disconnect, hook) =
            window;
        // Behind the held head of a stream it would wait without end.
        let steps = body.steps.iter();
        let of_the_body = steps.filter_map(|step| match step {
            Step::Spawn(task) => Some(task),
            Step::Data(_) | Step::Wait(_) => None,
        });
        let waits = tasks.iter().chain(of_the_body).any(Task::waits_for_body);
        let drain_timeout = drain_timeout.or(waits.then_some(40));
        Plan {
            method,
            version,
            status,
            hold,
            drain_timeout,
            total_timeout,
            client_timeout,
            at_deadline,
            at_disconnect,
            hook,
            handler_takes,
            handler_fails,
            tasks,
            anonymous,
            body,
            client,
        }
    })
}

fn unfinished() -> impl Strategy<Value = Unfinished> {
    prop_oneof![
        2 => Just(Unfinished::Continue),
        1 => Just(Unfinished::Abort),
        1 => (0..40u64).prop_map(|grace| Unfinished::Cancel { grace: ms(grace) }),
    ]
}

fn task() -> impl Strategy<Value = Task> {
    let end = prop_oneof![
        6 => Just(TaskEnd::Completes),
        1 => Just(TaskEnd::Heeds),
        1 => Just(TaskEnd::Fails),
        1 => Just(TaskEnd::Panics),
        1 => Just(TaskEnd::Aborted),
    ];
    let kind = prop_oneof![
        8 => Just(Kind::Plain),
        1 => Just(Kind::Required),
        1 => Just(Kind::Detached),
    ];
    let waits = prop::bool::weighted(0.2);
    let leaf = (0..50u64, end, kind, waits).prop_map(|(takes, end, kind, waits_for_body)| Task {
        takes,
        children: Vec::new(),
        end,
        kind,
        waits_for_body,
    });
    leaf.prop_recursive(2, 4, 2, |inner| {
        (inner.clone(), vec(inner, 0..2)).prop_map(|(task, children)| Task { children, ..task })
    })
}

fn script() -> impl Strategy<Value = Script> {
    let step = prop_oneof![
        4 => (0..4usize).prop_map(Step::Data),
        2 => (0..15u64).prop_map(Step::Wait),
        1 => task().prop_map(Step::Spawn),
    ];
    let ending = prop_oneof![
        4 => Just(Ending::EndMark),
        2 => Just(Ending::Trailers),
        1 => Just(Ending::Error),
    ];
    let length = prop_oneof![
        3 => Just(Length::Unknown),
        3 => Just(Length::Hint),
        1 => (-2..3i8).prop_map(Length::WrongHint),
        2 => Just(Length::Header),
    ];
    (vec(step, 0..5), ending, length, any::<bool>()).prop_map(
        |(steps, ending, length, knows_its_end)| Script {
            steps,
            ending,
            length,
            knows_its_end,
        },
    )
}

fn client() -> impl Strategy<Value = Client> {
    prop_oneof![
        6 => Just(Client::ReadsOn),
        6 => Just(Client::IsServer),
        1 => (1..20u64).prop_map(Client::IsSlow),
        1 => (0..80u64).prop_map(Client::LeavesAt),
        1 => (0..4usize).prop_map(Client::LeavesAfter),
    ]
}

impl Task {
    /// Whether it waits for the drop of the body, or one that it spawns does.
    fn waits_for_body(&self) -> bool {
        self.waits_for_body || self.children.iter().any(Self::waits_for_body)
    }
}

impl Plan {
    pub(super) fn is_http1(&self) -> bool {
        self.version < Version::HTTP_2
    }
}

impl Script {
    /// The bytes that the body will give, if it is read to its end.
    pub(super) fn total(&self) -> u64 {
        let bytes = |step: &Step| match step {
            Step::Data(len) => *len as u64,
            Step::Wait(_) | Step::Spawn(_) => 0,
        };
        self.steps.iter().map(bytes).sum()
    }
}
