//! A PostgreSQL server of the test.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use sqlx::{Connection, PgConnection};
use tempfile::TempDir;
use tokio::process::Command;

/// A server on a free port of the loopback interface, in a folder of its own.
///
/// It needs the programs of PostgreSQL (Debian's package `postgresql`). The server refuses to run as root. A test that
/// runs as root runs it as the user `postgres`, which the package has created.
#[derive(Debug)]
pub(crate) struct Postgres {
    programs: PathBuf,
    folder: TempDir,
    port: u16,
    is_root: bool,
}

impl Postgres {
    pub(crate) fn new() -> Self {
        let is_root = rustix::process::geteuid().is_root();
        let folder = tempfile::tempdir().expect("a folder");
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = free.local_addr().expect("it has one").port();
        Self {
            programs: programs(),
            folder,
            port,
            is_root,
        }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Starts the server. At the first call it makes the data folder too.
    pub(crate) async fn start(&self) {
        if !self.data().exists() {
            if self.is_root {
                let path = self.folder.path();
                run(Command::new("chown").arg("postgres:").arg(path)).await;
            }
            let mut initdb = self.program("initdb");
            initdb.args(["--auth", "trust", "--username", "postgres", "--pgdata"]);
            run(initdb.arg(self.data())).await;
        }
        let options = format!(
            "-c port={} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_connections=100",
            self.port
        );
        let mut start = self.pg_ctl("start");
        start.args(["-w", "-t", "60", "-o", &options]);
        start.arg("-l").arg(self.folder.path().join("log"));
        run(&mut start).await;
    }

    /// Crashes the server: it ends without a checkpoint, as after a power failure.
    pub(crate) async fn crash(&self) {
        run(self.pg_ctl("stop").args(["-m", "immediate"])).await;
    }

    pub(crate) async fn stop(&self) {
        run(self.pg_ctl("stop").args(["-m", "fast"])).await;
    }

    /// Creates a database, and returns its URL.
    pub(crate) async fn create_database(&self, name: &str) -> String {
        let url = |name| format!("postgres://postgres@127.0.0.1:{}/{name}", self.port);
        let mut connection = PgConnection::connect(&url("postgres"))
            .await
            .expect("the server runs");
        let create = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
        sqlx::query(create)
            .execute(&mut connection)
            .await
            .expect("a new database");
        url(name)
    }

    fn pg_ctl(&self, command: &str) -> Command {
        let mut pg_ctl = self.program("pg_ctl");
        pg_ctl.arg(command).arg("--pgdata").arg(self.data());
        pg_ctl
    }

    fn program(&self, name: &str) -> Command {
        let path = self.programs.join(name);
        let mut command = if self.is_root {
            let mut command = Command::new("setpriv");
            command.args([
                "--reuid",
                "postgres",
                "--regid",
                "postgres",
                "--init-groups",
            ]);
            command.arg(path);
            command
        } else {
            Command::new(path)
        };
        command.current_dir(self.folder.path());
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // After a failure the server still runs.
        if let Ok(file) = fs::read_to_string(self.data().join("postmaster.pid")) {
            let id = file.lines().next().and_then(|line| line.parse().ok());
            if let Some(id) = id.and_then(rustix::process::Pid::from_raw) {
                let _ = rustix::process::kill_process(id, rustix::process::Signal::QUIT);
            }
        }
    }
}

/// Returns the folder of `initdb` and `pg_ctl`. Debian has a folder for each version.
fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let debian = versions.flatten().map(|version| version.path().join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let all = debian.chain(std::env::split_paths(&path).collect::<Vec<_>>());
    let has_it = |folder: &PathBuf| Path::new(folder).join("initdb").exists();
    let found = all.filter(has_it).max();
    found.expect("PostgreSQL is not installed: it is Debian's package `postgresql`")
}

async fn run(command: &mut Command) {
    let output = command.output().await.expect("it can be started");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command:?}: {text}");
}
