//! What may happen to a request. Each scene is one request, or one run of a scope, from beginning to end.
//!
//! | module | |
//! |---|---|
//! | `clients` | Clients that leave. |
//! | `deadlines` | Tasks that are alive at the deadline. |
//! | `hooks` | Hooks of `before_release`. |
//! | `late` | Detached tasks, and tasks that are spawned late or on a runtime that is gone. |
//! | `parts` | Handlers and futures that scenes are made of. |
//! | `required` | Required tasks. |
//! | `responses` | Handlers that fail, and every kind of response. |
//! | `scopes` | Scopes: functions, and services that are not HTTP. |
//! | `shutdowns` | Shutdowns, and the work of the process. |
//! | `tasks` | Ways in which tasks and tokens end. |

mod clients;
mod deadlines;
mod hooks;
mod late;
mod parts;
mod required;
mod responses;
mod scopes;
mod shutdowns;
mod tasks;

use std::future::Future;
use std::pin::Pin;

use super::stage::Stage;

pub(super) struct Scene {
    pub(super) name: &'static str,
    /// When something is seen of it, in milliseconds.
    pub(super) times: &'static [u128],
    pub(super) play: fn(Stage) -> Playing,
}

type Playing = Pin<Box<dyn Future<Output = ()>>>;

/// Each scene has its tests.
macro_rules! scenes {
    ($($group:ident { $($scene:ident [$($at:literal),*],)* })*) => {
        const ALL: &[Scene] = &[$($($scene::SCENE),*),*];

        $($(mod $scene {
            use super::super::{observers, stage, subscribers, wakers};
            use super::{ALL, Scene};

            pub(super) const SCENE: Scene = Scene {
                name: stringify!($scene),
                times: &[$($at),*],
                play: |stage| Box::pin(super::$group::$scene(stage)),
            };

            #[test]
            fn is_the_same_each_time() {
                stage::is_the_same_each_time(&SCENE);
            }

            #[test]
            fn is_the_same_in_the_memory_of_each_other_one() {
                stage::is_the_same_after(ALL, &SCENE);
            }

            #[test]
            fn is_the_same_with_an_observer_that_panics() {
                observers::is_the_same_where_one_panics(&SCENE);
            }

            #[test]
            fn is_the_same_where_the_log_of_an_observer_that_panics_panics_too() {
                observers::is_the_same_where_the_log_of_the_panic_panics(&SCENE);
            }

            #[test]
            fn is_the_same_with_a_subscriber_that_panics() {
                subscribers::is_the_same_where_one_panics(&SCENE);
            }

            #[test]
            fn is_the_same_with_wakers_that_look_at_the_request() {
                wakers::is_the_same_where_they_look(&SCENE);
            }

            #[test]
            fn comes_to_its_end_with_wakers_that_spawn() {
                wakers::comes_to_its_end_where_they_spawn(&SCENE);
            }

            #[test]
            fn is_the_same_with_wakers_that_panic() {
                wakers::is_the_same_where_they_panic(&SCENE);
            }
        })*)*
    };
}

scenes! {
    tasks {
        tasks_of_every_end [70],
        no_task [0],
        one_task [20],
        a_tracker_ends_last [40],
        a_token_is_dropped_last [20],
    }
    required {
        a_required_task_fails [40],
        a_required_task_fails_at_once [40],
        a_required_task_ends_before_the_others [20, 40],
        a_body_is_there_when_its_required_task_is_done [40],
        only_required_tasks_are_waited_for [20, 40],
    }
    deadlines {
        tasks_outlive_the_deadline [30, 40, 45, 50, 60, 70],
        tasks_are_aborted_at_the_deadline [1000, 1100],
        tasks_are_cancelled_at_the_deadline [900],
        the_deadline_is_moved [120, 210],
    }
    clients {
        the_client_leaves_a_held_head [10, 20, 700],
        the_client_leaves_and_tasks_are_aborted [10],
        the_client_leaves_and_tasks_are_cancelled [10, 460],
        the_client_leaves_the_handler [10, 20],
        the_client_leaves_the_body [0, 20],
        the_client_leaves_a_held_end [10],
        the_handler_runs_on [10, 25],
    }
    responses {
        the_handler_panics [0, 20],
        the_service_fails [20],
        a_stream_is_held_at_its_end [0, 30],
        a_stream_fails_at_its_end [0, 20],
        a_stream_outlives_its_tasks [30],
        nothing_is_held [0, 30, 50],
        an_upgrade [0, 20, 40],
        an_answer_to_head [20],
    }
    late {
        detached_tasks [0, 20, 25, 30, 40],
        a_detached_task_ends_before_the_response [10, 20],
        late_spawns [1, 11, 21, 31],
        spawns_on_a_dead_runtime [10, 20, 40],
    }
    hooks {
        a_hook_is_awaited [40],
        a_hook_meets_the_deadline [100],
        a_hook_panics [30],
    }
    shutdowns {
        a_shutdown_begins [60, 100],
        a_shutdown_ends [10, 30, 110],
        the_work_of_the_process [30],
    }
    scopes {
        a_function [30],
        a_function_meets_its_deadline [900],
        an_answer_that_fails [20],
    }
}
