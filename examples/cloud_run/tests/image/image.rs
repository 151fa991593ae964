//! Builds the content of the image, once for all tests.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use std::{fs, io, thread};

use super::dockerfile::{kept, stages};

/// More than a first build takes on a busy machine.
const BUILD_LIMIT: Duration = Duration::from_secs(20 * 60);

/// The parts of the image that start a container.
#[derive(Debug)]
pub(crate) struct Image {
    /// The path of the built program that is the `ENTRYPOINT`.
    pub(crate) program: PathBuf,
    /// The variables of `ENV`.
    pub(crate) variables: Vec<(String, String)>,
}

/// Returns the directory of this example.
pub(crate) fn home() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn image() -> &'static Image {
    static IMAGE: OnceLock<Image> = OnceLock::new();
    IMAGE.get_or_init(build)
}

fn build() -> Image {
    let stages = stages(&home().join("Dockerfile"));
    let [build, run] = &stages[..] else {
        panic!("one to build and one to run: {stages:?}");
    };
    // The copy is kept between runs, like a layer cache.
    let context = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cloud-run-context");
    assert_eq!(build.one("COPY"), ". .", "the whole context");
    let root = home().ancestors().nth(2).expect("the repository");
    copy_context(root, &context).expect("a copy of the context");
    for command in build.all("RUN") {
        run_in(&context, command);
    }

    let copied = run.one("COPY").strip_prefix("--from=build ");
    let (from, to) = copied
        .and_then(|paths| paths.split_once(' '))
        .expect("copied");
    let start: Vec<String> = serde_json::from_str(run.one("ENTRYPOINT")).expect("a list");
    assert_eq!(start, [to], "what is copied is what is started");
    let built = Path::new(from).strip_prefix(build.one("WORKDIR"));
    let variable = |line: &str| {
        let (name, value) = line.split_once('=').expect("NAME=value");
        (name.to_owned(), value.to_owned())
    };
    Image {
        program: context.join(built.expect("it is built where the context is")),
        variables: run.all("ENV").map(variable).collect(),
    }
}

/// Runs a command as `RUN` does. Its output is shown, because the first run takes minutes.
fn run_in(context: &Path, command: &str) {
    let mut shell = Command::new("/bin/sh")
        .args(["-c", command])
        .current_dir(context)
        .env("CARGO_TARGET_DIR", context.join("target"))
        .stdin(Stdio::null())
        .spawn()
        .expect("a shell");
    let start = Instant::now();
    let status = loop {
        if let Some(status) = shell.try_wait().expect("it is ours") {
            break status;
        }
        if start.elapsed() > BUILD_LIMIT {
            let _ = shell.kill();
            panic!("{command}: it does not end");
        }
        thread::sleep(Duration::from_millis(20));
    };
    assert!(status.success(), "{command}: {status}");
}

/// Copies the files of `root` that `Dockerfile.dockerignore` keeps to `context`, and removes all others.
fn copy_context(root: &Path, context: &Path) -> io::Result<()> {
    fs::create_dir_all(context)?;
    let kept = kept(&home().join("Dockerfile.dockerignore"));
    for entry in fs::read_dir(context)? {
        let name = entry?.file_name();
        // Keeps what was built before.
        if name != "target" && !kept.iter().any(|kept| name == kept.as_str()) {
            remove(&context.join(name))?;
        }
    }
    for name in kept {
        // `Cargo.lock` may be missing.
        if root.join(&name).exists() {
            copy(&root.join(&name), &context.join(&name))?;
        }
    }
    Ok(())
}

/// Makes `to` equal to `from`. Equal files are not touched, so that they are not built again.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    if from.is_file() {
        let new = fs::read(from)?;
        if fs::read(to).ok().is_none_or(|old| old != new) {
            fs::write(to, new)?;
        }
        return Ok(());
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(to)? {
        let entry = entry?;
        if !from.join(entry.file_name()).exists() {
            remove(&entry.path())?;
        }
    }
    for entry in fs::read_dir(from)? {
        let name = entry?.file_name();
        copy(&from.join(&name), &to.join(&name))?;
    }
    Ok(())
}

fn remove(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    }
}
