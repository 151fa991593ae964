//! A process of the example.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::DRAIN;
use crate::mail::MailService;

/// The example, in a process of its own. It is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Program {
    child: Child,
    url: String,
}

impl Program {
    /// Starts the example, and waits until it listens, or until its worker is ready.
    pub(crate) async fn start(store: &str, mail: &MailService, options: &[&str]) -> Self {
        let drain = DRAIN.as_millis().to_string();
        let mut child = Command::new(env!("CARGO_BIN_EXE_handoff"))
            .args(["--port", "0", "--store", store, "--mail", mail.url()])
            .args(["--drain-ms", &drain])
            .args(options)
            .stdout(Stdio::piped())
            // Missed deadlines and lost connections are the purpose of this test.
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("the example starts");
        let stdout = child.stdout.take().expect("it is piped");
        let mut lines = BufReader::new(stdout).lines();
        let is_worker = options.contains(&"--worker-only");
        let url = timeout(Duration::from_secs(30), async {
            loop {
                let line = lines.next_line().await.expect("text");
                let line = line.expect("it goes on");
                if is_worker && line == "worker ready" {
                    break String::new();
                }
                if let Some(url) = line.strip_prefix("listening on ") {
                    break url.to_owned();
                }
            }
        });
        let url = url.await.expect("it starts within 30 s");
        // Whatever it prints later is read and dropped, so that it does not wait for a full pipe.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self { child, url }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Kills it by SIGKILL, and waits for its end.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.expect("it is alive");
    }
}
