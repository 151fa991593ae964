//! Makes a plan from choices. The first value of each choice is the plainest.

use arbitrary::{Arbitrary, Unstructured};
use http::{Method, StatusCode, Version};
use tower_task_tracker::{Hold, Unfinished};

use super::{
    Client, DrainTimeout, Ending, HandOff, Hook, Kind, Length, Plan, Script, Step, Task, TaskEnd,
    Window,
};
use crate::choices::Choices;
use crate::clock::ms;

impl Plan {
    /// Makes a plan from bytes for its fields, for each task of its handler, and for each step of its body. So a
    /// generator can leave out a task or a step without a change to the rest.
    #[must_use]
    pub fn from_parts(fields: &[u8], tasks: &[Vec<u8>], steps: &[Vec<u8>]) -> Self {
        let tasks = tasks.iter().map(|bytes| task(&mut Choices::new(bytes)));
        let steps = steps.iter().map(|bytes| step(&mut Choices::new(bytes)));
        let plan = plan(&mut Choices::new(fields));
        plan.with(tasks.collect(), steps.collect())
    }

    fn with(mut self, tasks: Vec<Task>, steps: Vec<Step>) -> Self {
        self.body.steps = steps;
        self.tasks = tasks;
        // Behind the held head of a stream such a task would wait without end.
        let needs_drop = self
            .tasks
            .iter()
            .chain(self.body.tasks())
            .any(Task::needs_drop);
        if needs_drop && self.window.drain_timeout == DrainTimeout::Set(None) {
            self.window.drain_timeout = DrainTimeout::Default;
        }
        self
    }
}

impl<'a> Arbitrary<'a> for Plan {
    /// All parts from one list of bytes.
    fn arbitrary(u: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let mut choices = Choices::new(u.bytes(u.len())?);
        let plan = plan(&mut choices);
        let count = choices.up_to(3);
        let tasks = choices.list(count, task);
        let count = choices.up_to(6);
        Ok(plan.with(tasks, choices.list(count, step)))
    }
}

/// Without tasks and steps.
fn plan(choices: &mut Choices<'_>) -> Plan {
    use Hold::{Auto, End, Head, Never, Required};
    let rare_methods = [Method::POST, Method::HEAD, Method::CONNECT];
    let methods = [vec![Method::GET; 6], rare_methods.to_vec()].concat();
    let statuses = [vec![200; 8], vec![201, 500, 204, 304, 101]].concat();
    let status = choices.one_of(&statuses);
    Plan {
        client: client(choices),
        hold: choices.one_of(&[Auto, Auto, Auto, Head, Head, End, End, Required, Never]),
        method: choices.one_of(&methods),
        version: choices.one_of(&[Version::HTTP_11, Version::HTTP_2]),
        status: StatusCode::from_u16(status).expect("a status code"),
        is_grpc: choices.up_to(4) == 4,
        window: Window {
            drain_timeout: drain_timeout(choices),
            total_timeout: choices.rarely(|choices| choices.up_to(127)),
            client_timeout: choices.rarely(|choices| (choices.up_to(127), choices.up_to(63))),
            at_deadline: unfinished(choices),
            at_disconnect: unfinished(choices),
            hand_off_grace: choices.rarely(|choices| choices.up_to(39)),
        },
        hook: choices.rarely(|choices| Hook {
            takes: choices.up_to(39),
            panics: choices.up_to(1) == 1,
        }),
        handler_takes: choices.up_to(39),
        handler_fails: choices.up_to(9) == 9,
        tasks: Vec::new(),
        tracker_task: choices.rarely(|choices| choices.up_to(59)),
        body: Script {
            steps: Vec::new(),
            ending: {
                use Ending::{EndMark, Error, Trailers};
                choices.one_of(&[EndMark, EndMark, EndMark, Trailers, Trailers, Error])
            },
            length: length(choices),
            shows_its_end: choices.up_to(1) == 1,
        },
    }
}

fn client(choices: &mut Choices<'_>) -> Client {
    match choices.up_to(10) {
        0..=2 => Client::ReadsAll,
        3..=6 => Client::ReadsAsServer,
        7 => Client::ReadsSlowly(1 + choices.up_to(19)),
        8 => Client::LeavesAt(choices.up_to(80)),
        9 => Client::LeavesAfterFrames(choices.up_to(4)),
        _ => Client::LeavesAfterPolls(choices.up_to(12)),
    }
}

fn drain_timeout(choices: &mut Choices<'_>) -> DrainTimeout {
    match choices.up_to(3) {
        0 => DrainTimeout::Default,
        1 => DrainTimeout::Set(None),
        _ => DrainTimeout::Set(Some(choices.up_to(59))),
    }
}

fn unfinished(choices: &mut Choices<'_>) -> Unfinished {
    match choices.up_to(3) {
        0 | 1 => Unfinished::Continue,
        2 => Unfinished::Abort,
        _ => Unfinished::Cancel {
            grace: ms(choices.up_to(39)),
        },
    }
}

fn length(choices: &mut Choices<'_>) -> Length {
    match choices.up_to(9) {
        0 | 1 => Length::Unknown,
        2 | 3 => Length::Hint,
        4 => Length::HintAndHeader,
        5 | 6 => Length::Header(choices.one_of(&[0, 0, 0, 0, -1, -2, 1, 2])),
        7 => Length::Range,
        8 => Length::WrongHint(choices.one_of(&[-1, -2, 1, 2])),
        _ => Length::TwoHeaders,
    }
}

fn step(choices: &mut Choices<'_>) -> Step {
    match choices.up_to(19) {
        0..=7 => Step::Data(choices.one_of(&[0, 1, 2, 3, 4])),
        8 => Step::Data(choices.one_of(&[255, 16_384, 65_537])),
        9..=13 => Step::Wait(choices.up_to(39)),
        14 | 15 => Step::Yield,
        _ => Step::Spawn(task(choices)),
    }
}

fn task(choices: &mut Choices<'_>) -> Task {
    use Kind::{Detached, Plain, Required};
    use TaskEnd::{Aborted, Completes, Fails, Panics, StopsOnCancel};
    let rare_ends = [StopsOnCancel, Fails, Panics, Aborted];
    let ends = [[Completes; 6].as_slice(), &rare_ends].concat();
    Task {
        takes: match choices.up_to(250) {
            takes @ 0..240 => takes / 4,
            // Around the default drain timeout.
            more => 24_995 + (more - 240),
        },
        end: choices.one_of(&ends),
        kind: choices.one_of(&[
            Plain, Plain, Plain, Plain, Plain, Required, Required, Detached,
        ]),
        waits_for_body: choices.up_to(3) == 3,
        children: {
            let count = choices.one_of(&[0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 3]);
            choices.list(count, task)
        },
        hand_off: (choices.up_to(3) == 3).then(|| HandOff {
            takes: choices.up_to(39),
            fails: choices.up_to(2) == 2,
        }),
    }
}
