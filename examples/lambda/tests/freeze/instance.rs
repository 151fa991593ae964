//! An instance: a child process that uses the stub instead of Lambda.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::task::{JoinSet, spawn_blocking};

use crate::answer::Answer;
use crate::event::Event;
use crate::form::Form;
use crate::limit::within_limit;
use crate::stub::{Call, NextRequest, Stub};

/// A running instance. The drop kills it, stopped or not.
#[derive(Debug)]
pub(crate) struct Instance {
    child: Child,
    lines: mpsc::UnboundedReceiver<String>,
    _readers: JoinSet<()>,
    stub: Stub,
    orders: TempDir,
}

impl Instance {
    pub(crate) async fn start(form: Form) -> io::Result<Self> {
        Self::start_program(form.program(), form.streams()).await
    }

    /// Starts a program as Lambda would, with a stub of its own and an empty folder for orders.
    pub(crate) async fn start_program(program: &Path, streams: bool) -> io::Result<Self> {
        let stub = Stub::start().await?;
        let orders = tempfile::tempdir()?;
        let mode = if streams {
            "RESPONSE_STREAM"
        } else {
            "BUFFERED"
        };
        let mut child = Command::new(program)
            .env_clear()
            .env("AWS_LAMBDA_FUNCTION_NAME", "shop")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_RUNTIME_API", stub.address.to_string())
            .env("INVOKE_MODE", mode)
            .env("ORDERS", orders.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let (sender, lines) = mpsc::unbounded_channel();
        let mut readers = JoinSet::new();
        readers.spawn(read(child.stdout.take(), sender.clone()));
        readers.spawn(read(child.stderr.take(), sender));
        Ok(Self {
            child,
            lines,
            _readers: readers,
            stub,
            orders,
        })
    }

    async fn call(&mut self) -> Call {
        let call = within_limit("a call of the instance", self.stub.calls.recv()).await;
        call.expect("the stub is there")
    }

    /// Waits for the instance's request for the next event.
    pub(crate) async fn next_request(&mut self) -> NextRequest {
        match self.call().await {
            Call::Next(request) => request,
            Call::Answer(answer) => panic!("it requests no event, but answers: {answer:?}"),
        }
    }

    /// Waits for the instance's answer to the last event.
    pub(crate) async fn answer(&mut self) -> Answer {
        match self.call().await {
            Call::Answer(answer) => answer,
            Call::Next(_) => panic!("it requests the next event and has not answered this one"),
        }
    }

    /// Lets the instance serve one event, from its request for the event to its answer.
    pub(crate) async fn serve(&mut self, event: Event) -> Answer {
        self.next_request().await.hand_over(event);
        self.answer().await
    }

    /// Returns the next line of the output or the log that contains this text.
    pub(crate) async fn line_with(&mut self, text: &str) -> String {
        let find = async {
            while let Some(line) = self.lines.recv().await {
                if line.contains(text) {
                    return line;
                }
            }
            panic!("the instance has ended, and has not printed `{text}`");
        };
        within_limit(text, find).await
    }

    /// Returns whether the work of this order is done.
    pub(crate) fn is_written(&self, order: u32) -> bool {
        self.orders.path().join(order.to_string()).exists()
    }

    fn pid(&self) -> Pid {
        let id = self.child.id().expect("it was not waited for");
        let id = i32::try_from(id).expect("it is a process id");
        Pid::from_raw(id).expect("it is not zero")
    }

    /// Stops the instance, and waits until it is stopped.
    pub(crate) async fn freeze(&self) {
        let pid = self.pid();
        kill_process(pid, Signal::STOP).expect("it is there");
        let events = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        let status = spawn_blocking(move || waitid(WaitId::Pid(pid), events)).await;
        let status = status.expect("it does not panic").expect("it is our child");
        let stopped = status.and_then(|status| status.stopping_signal());
        assert_eq!(stopped, Some(Signal::STOP.as_raw()), "it stands still");
    }

    pub(crate) fn thaw(&self) {
        kill_process(self.pid(), Signal::CONT).expect("it is there");
    }

    /// Kills the instance, stopped or not.
    pub(crate) async fn kill(&mut self) {
        self.child.start_kill().expect("it is there");
        let status = self.exit_status().await;
        assert_eq!(status.signal(), Some(Signal::KILL.as_raw()), "{status}");
    }

    /// Waits for the end of the instance.
    pub(crate) async fn exit_status(&mut self) -> ExitStatus {
        let ended = within_limit("the end of the instance", self.child.wait()).await;
        ended.expect("it is our child")
    }
}

async fn read(output: Option<impl AsyncRead + Unpin>, lines: mpsc::UnboundedSender<String>) {
    let mut output = BufReader::new(output.expect("it is piped")).lines();
    while let Ok(Some(line)) = output.next_line().await {
        // The receiver may be gone.
        let _ = lines.send(line);
    }
}
