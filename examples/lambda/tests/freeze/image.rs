//! Tests the Dockerfile without a container engine. Its build command runs unchanged, and the program of its entrypoint
//! is started and takes an order.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use tokio::process::Command;
use tokio::time::timeout;

use crate::answer::Kind;
use crate::event::Event;
use crate::instance::Instance;

const DOCKERFILE: &str = include_str!("../../Dockerfile");

/// The limit of a first build on a busy machine. It took a minute and a half on two cores, with other builds on them.
const BUILD_LIMIT: Duration = Duration::from_secs(600);

/// Returns the rest of the only line that begins with `start`.
fn instruction(start: &str) -> &'static str {
    let mut found = DOCKERFILE
        .lines()
        .filter_map(|line| line.strip_prefix(start));
    let rest = found
        .next()
        .unwrap_or_else(|| panic!("there is a `{start}`"));
    assert_eq!(found.next(), None, "there is one `{start}`");
    rest.trim()
}

/// Runs the build command in the root of the repository, which is the context. Returns the path of the built program.
async fn build(form: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let command = instruction("RUN ");
    assert!(command.starts_with("cargo build "), "{command}");
    // Not the target folder of the tests, because they run the programs in it.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("image");
    let build = Command::new("sh")
        .args(["-euc", command])
        .current_dir(root)
        .env("FORM", form)
        .env("CARGO_TARGET_DIR", &target)
        // Without optimisation, which takes longer than the rest of the build.
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0")
        .kill_on_drop(true)
        .output();
    let built = timeout(BUILD_LIMIT, build).await.expect("it ends");
    let built = built.expect("there is a shell");
    let errors = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "{command}: {errors}");

    let (program, copied_to) = instruction("COPY --from=build ")
        .split_once(' ')
        .expect("it has two paths");
    let entrypoint: Vec<&str> =
        serde_json::from_str(instruction("ENTRYPOINT ")).expect("it is a list");
    assert_eq!(entrypoint, [copied_to], "what is copied there is started");
    let in_target = format!("{}/target/", instruction("WORKDIR "));
    let program = program.replace("${FORM}", form);
    let program = program.strip_prefix(&in_target);
    target.join(program.expect("it is where cargo puts it"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_image_builds_and_starts_each_form() {
    let work = Duration::from_millis(50);
    let batch = Event::batch(1, &[json!({ "id": 1, "takes": 50 })]);
    let forms = [
        ("held", Event::order(1, work)),
        ("posted", Event::order(1, work)),
        ("untracked", Event::order(1, work)),
        ("queue", batch),
    ];
    for (form, event) in forms {
        let program = build(form).await;
        let mut instance = Instance::start_program(&program, false)
            .await
            .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        let answer = instance.serve(event).await;
        assert_eq!(answer.kind, Kind::Response, "{form}: {answer:?}");
    }
}

#[test]
fn a_form_is_built_when_none_is_asked_for() {
    let first = DOCKERFILE
        .lines()
        .find_map(|line| line.strip_prefix("ARG FORM="));
    let binary = Path::new(env!("CARGO_BIN_EXE_held")).file_name();
    assert_eq!(first.map(AsRef::as_ref), binary);
}
