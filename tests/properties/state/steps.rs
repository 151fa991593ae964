//! The transitions that a plan consists of.

use proptest::collection::vec;
use proptest::prelude::*;

use crate::report::{Outcome, TaskState};
use crate::request::account::Readers;
use crate::request::hand_off::Which;
use crate::request::task::{Kind, Parent};

/// A request, and the next one in the same memory.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) first: Life,
    pub(crate) second: Life,
}

#[derive(Debug, Clone)]
pub(crate) struct Life {
    /// It is no request, but the work of the process.
    pub(crate) is_process: bool,
    pub(crate) steps: Vec<Step>,
}

/// One of the tasks that were ever listed.
pub(crate) type Pick = prop::sample::Index;

#[derive(Debug, Clone)]
pub(crate) enum Step {
    Admit {
        kind: Kind,
        is_handler: bool,
        is_elsewhere: bool,
        has_hand_off: bool,
        parent: Parent,
    },
    TryAdmit {
        kind: Kind,
        parent: Parent,
        is_closing: bool,
    },
    Attach(Pick),
    Fail(Pick, TaskState),
    End {
        task: Pick,
        in_tracker: bool,
    },
    Noticed {
        in_tracker: bool,
    },
    Watch,
    EndWatch {
        in_tracker: bool,
    },
    AbandonWatch,
    Stamp,
    Look {
        in_tracker: bool,
    },
    LookAndKeepWaker {
        in_tracker: bool,
    },
    Listen,
    Wake,
    OpenWindow,
    CloseWindow,
    ClientGone,
    Finish {
        readers: Readers,
        in_tracker: bool,
    },
    ReleaseIfIdle {
        in_tracker: bool,
    },
    Release {
        outcome: Outcome,
        aborts: bool,
    },
    Conclude {
        in_tracker: bool,
    },
    LeaveIfOver {
        in_tracker: bool,
    },
    ListTracker,
    /// A task with a hand-off is noted as a blocking closure.
    NoteClosure(Pick),
    /// The closure of a hand-off that has begun beside it ends.
    ClosureEnds(Pick),
    StopForHandOff {
        which: Which,
    },
    StopUnfinished,
    StopAllExcept {
        spared: Option<Pick>,
        is_end_of_shutdown: bool,
    },
    Token,
    Cancel,
    ShutdownBegins,
    Attend,
    SetSpan,
    Advance,
}

pub(crate) fn plan() -> impl Strategy<Value = Plan> {
    (life(), life()).prop_map(|(first, second)| Plan { first, second })
}

fn life() -> impl Strategy<Value = Life> {
    let is_process = prop::bool::weighted(0.1);
    (is_process, vec(step(), 0..50)).prop_map(|(is_process, steps)| Life { is_process, steps })
}

fn step() -> impl Strategy<Value = Step> {
    let kind = || {
        prop_oneof![
            3 => Just(Kind::Ordinary),
            2 => Just(Kind::Required),
            1 => Just(Kind::Detached),
        ]
    };
    let which = prop_oneof![
        Just(Which::All),
        Just(Which::Awaited),
        Just(Which::NotAwaited),
    ];
    let parent = || {
        prop_oneof![
            3 => Just(Parent::None),
            2 => Just(Parent::Task),
            1 => Just(Parent::DetachedTask),
        ]
    };
    let failed = prop_oneof![
        Just(TaskState::Failed),
        Just(TaskState::Panicked),
        Just(TaskState::Aborted),
    ];
    let outcome = prop_oneof![
        Just(Outcome::DeadlineExceeded),
        Just(Outcome::Shutdown),
        Just(Outcome::Dropped),
        Just(Outcome::Upgraded),
    ];
    let admit = (
        kind(),
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
        parent(),
    );
    let admit = admit.prop_map(
        |(kind, is_handler, is_elsewhere, armed, parent)| Step::Admit {
            kind,
            // No handler is required or detached.
            is_handler: is_handler && kind == Kind::Ordinary,
            is_elsewhere,
            // Such a task is required or detached, and is spawned here.
            has_hand_off: armed && !is_elsewhere && kind != Kind::Ordinary,
            parent,
        },
    );
    let try_admit = (kind(), parent(), prop::bool::weighted(0.3));
    let try_admit = try_admit.prop_map(|(kind, parent, is_closing)| Step::TryAdmit {
        kind,
        parent,
        is_closing,
    });
    let end = (any::<Pick>(), busy()).prop_map(|(task, in_tracker)| Step::End { task, in_tracker });
    let finish = (readers(), busy()).prop_map(|(readers, in_tracker)| Step::Finish {
        readers,
        in_tracker,
    });
    let release = (outcome, any::<bool>());
    let release = release.prop_map(|(outcome, aborts)| Step::Release { outcome, aborts });
    let life = prop_oneof![
        8 => admit,
        3 => try_admit,
        6 => any::<Pick>().prop_map(Step::Attach),
        5 => (any::<Pick>(), failed).prop_map(|(task, state)| Step::Fail(task, state)),
        9 => end,
        4 => busy().prop_map(|in_tracker| Step::Noticed { in_tracker }),
        1 => Just(Step::Watch),
        1 => busy().prop_map(|in_tracker| Step::EndWatch { in_tracker }),
        1 => Just(Step::AbandonWatch),
        1 => any::<Pick>().prop_map(Step::NoteClosure),
        1 => any::<Pick>().prop_map(Step::ClosureEnds),
        2 => which.prop_map(|which| Step::StopForHandOff { which }),
    ];
    let phases = prop_oneof![
        1 => busy().prop_map(|in_tracker| Step::Look { in_tracker }),
        2 => busy().prop_map(|in_tracker| Step::LookAndKeepWaker { in_tracker }),
        1 => Just(Step::Listen),
        3 => Just(Step::OpenWindow),
        1 => Just(Step::CloseWindow),
        1 => Just(Step::ClientGone),
        1 => finish,
        1 => busy().prop_map(|in_tracker| Step::ReleaseIfIdle { in_tracker }),
        1 => release,
        2 => busy().prop_map(|in_tracker| Step::Conclude { in_tracker }),
        1 => busy().prop_map(|in_tracker| Step::LeaveIfOver { in_tracker }),
    ];
    let stop_all = (any::<Option<Pick>>(), any::<bool>());
    let stop_all = stop_all.prop_map(|(spared, is_end_of_shutdown)| Step::StopAllExcept {
        spared,
        is_end_of_shutdown,
    });
    let others = prop_oneof![
        Just(Step::Stamp),
        Just(Step::Wake),
        Just(Step::ListTracker),
        Just(Step::StopUnfinished),
        stop_all,
        Just(Step::Token),
        Just(Step::Cancel),
        Just(Step::ShutdownBegins),
        Just(Step::Attend),
        Just(Step::SetSpan),
        Just(Step::Advance),
    ];
    prop_oneof![6 => life, 2 => phases, 1 => others]
}

fn readers() -> impl Strategy<Value = Readers> {
    let subscriber = any::<(bool, bool)>();
    prop_oneof![
        1 => Just(Readers::Some),
        2 => subscriber.prop_map(|(ok, failed)| Readers::Subscriber { ok, failed }),
    ]
}

/// Whether tasks in the tokio-util tracker are alive.
fn busy() -> impl Strategy<Value = bool> {
    prop::bool::weighted(0.15)
}
