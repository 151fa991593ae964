//! Stands in for a container: runs the program of the image as a process, with the variables of the image.

use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::LIMIT;
use super::client::{Answer, send};
use super::image::image;

/// A running process. The drop kills it.
#[derive(Debug)]
pub(crate) struct Container {
    child: Child,
    pub(crate) address: SocketAddr,
    lines: Receiver<String>,
}

/// Returns the command that starts the program as in a container, except that it listens on the loopback.
pub(crate) fn command(variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(&image().program);
    command
        .env_clear()
        .envs(image().variables.iter().cloned())
        .env("HOST", Ipv4Addr::LOCALHOST.to_string())
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

impl Container {
    /// Starts the program on any free port.
    pub(crate) fn start() -> Self {
        Self::start_with(&[("PORT", "0")])
    }

    pub(crate) fn start_with(variables: &[(&str, &str)]) -> Self {
        let mut command = command(variables);
        // Shows the program's errors to the user of the tests.
        let child = command.stderr(Stdio::inherit()).spawn();
        let (sender, lines) = mpsc::channel();
        // From here on the drop kills the process, whatever fails.
        let mut container = Self {
            child: child.expect("a program"),
            address: (Ipv4Addr::LOCALHOST, 0).into(),
            lines,
        };
        let stdout = container.child.stdout.take().expect("it is piped");
        thread::spawn(move || {
            let lines = BufReader::new(stdout).lines().map_while(Result::ok);
            lines.for_each(|line| drop(sender.send(line)));
        });
        let line = container.next_line();
        let address = line.strip_prefix("listening on http://");
        let address = address.and_then(|address| address.parse().ok());
        container.address = address.unwrap_or_else(|| panic!("an address: {line}"));
        container
    }

    pub(crate) fn post(&self, path: &str) -> Answer {
        send(self.address, "POST", path).expect("an answer")
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        send(self.address, "GET", path).expect("an answer")
    }

    pub(crate) fn next_line(&self) -> String {
        self.lines.recv_timeout(LIMIT).expect("a line")
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(id.expect("a process"), signal).expect("it is ours, and was not waited for");
    }

    /// Waits for the end of the process. Returns the lines that it has printed since the last call of `next_line`.
    pub(crate) fn ended(mut self) -> (ExitStatus, Vec<String>) {
        let start = Instant::now();
        let mut printed = Vec::new();
        // The end of the process closes the pipe.
        loop {
            match self
                .lines
                .recv_timeout(LIMIT.saturating_sub(start.elapsed()))
            {
                Ok(line) => printed.push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("it does not end: {printed:?}"),
            }
        }
        (self.child.wait().expect("it is ours"), printed)
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // Both do nothing after a successful wait.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts a program that is expected not to serve. Returns its exit code and its output on stderr.
pub(crate) fn refused(variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let mut child = command(variables).spawn().expect("a program");
    let start = Instant::now();
    let status = loop {
        match child.try_wait().expect("it is ours") {
            Some(status) => break status,
            None if start.elapsed() > LIMIT => {
                let _ = child.kill();
                panic!("it serves with {variables:?}");
            }
            None => thread::sleep(Duration::from_millis(5)),
        }
    };
    let mut printed = String::new();
    let stderr = child.stderr.as_mut().expect("it is piped");
    stderr.read_to_string(&mut printed).expect("text");
    (status.code(), printed)
}
