//! A container: the image's program as a process, with the variables that it would have there.

use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::LIMIT;
use super::client::{Answer, ask};
use super::image::image;

/// Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Container {
    child: Child,
    pub(crate) address: SocketAddr,
    lines: Receiver<String>,
}

/// The program as it is started in a container, but for its address: here it is a private one.
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
    /// On any port that is free.
    pub(crate) fn start() -> Self {
        Self::start_with(&[("PORT", "0")])
    }

    pub(crate) fn start_with(variables: &[(&str, &str)]) -> Self {
        let mut command = command(variables);
        // What it says is for who runs the tests.
        let child = command.stderr(Stdio::inherit()).spawn();
        let (sender, lines) = mpsc::channel();
        // A guard before anything can fail.
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
        ask(self.address, "POST", path).expect("an answer")
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        ask(self.address, "GET", path).expect("an answer")
    }

    pub(crate) fn next_line(&self) -> String {
        self.lines.recv_timeout(LIMIT).expect("a line")
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(id.expect("a process"), signal).expect("it is ours, and was not waited for");
    }

    /// Waits for its end, and gives all that it had to say since the last line that was asked for.
    pub(crate) fn ended(mut self) -> (ExitStatus, Vec<String>) {
        let start = Instant::now();
        let mut said = Vec::new();
        // Its end closes the pipe.
        loop {
            match self
                .lines
                .recv_timeout(LIMIT.saturating_sub(start.elapsed()))
            {
                Ok(line) => said.push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("it does not end: {said:?}"),
            }
        }
        (self.child.wait().expect("it is ours"), said)
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // Both do nothing once its end was waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How a program ends that does not start to serve: its exit code and what it says on stderr.
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
    let mut said = String::new();
    let stderr = child.stderr.as_mut().expect("it is piped");
    stderr.read_to_string(&mut said).expect("text");
    (status.code(), said)
}
