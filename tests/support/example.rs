//! Runs an example as a real process, for the tests of the examples.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

/// More than anything here takes, however busy the machine is.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// A server on a port of its own. Dropping it kills it, and waits for its end.
pub(crate) struct Example {
    child: Child,
    lines: Receiver<String>,
    server: Server,
}

/// Where an example listens.
#[derive(Debug, Clone, Default)]
pub(crate) struct Server {
    address: String,
}

impl Server {
    /// The whole answer to a request that asks for the end of the connection.
    pub(crate) fn answer(&self, request: &str) -> String {
        let mut client = TcpStream::connect(&self.address).expect("it listens");
        client.set_read_timeout(Some(LIMIT)).expect("a limit");
        let sent = client.write_all(request.as_bytes());
        sent.expect("the server reads");
        let mut answer = String::new();
        let read = client.read_to_string(&mut answer);
        read.expect("an answer, and then the end of the connection");
        answer
    }
}

impl Example {
    /// Starts this program; `set_up` may add arguments and variables.
    pub(crate) fn start(program: &str, set_up: impl FnOnce(&mut Command)) -> Self {
        let mut command = Command::new(program);
        command.args(["--port", "0"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        set_up(&mut command);
        let child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{program}: {error}"));
        let (sender, lines) = mpsc::channel();
        // A guard before anything can fail.
        let mut example = Self {
            child,
            lines,
            server: Server::default(),
        };
        let stdout = example.child.stdout.take().expect("it is piped");
        thread::spawn(move || {
            let lines = BufReader::new(stdout).lines().map_while(Result::ok);
            lines.for_each(|line| drop(sender.send(line)));
        });
        let listens = "listening on http://";
        let line = example.next_line(listens);
        let address = line.strip_prefix(listens).expect("where it listens");
        example.server.address = address.to_owned();
        example
    }

    pub(crate) fn server(&self) -> &Server {
        &self.server
    }

    pub(crate) fn next_line(&self, wanted: &str) -> String {
        let line = self.lines.recv_timeout(LIMIT);
        line.unwrap_or_else(|error| panic!("{error}: {wanted}"))
    }

    /// Kills it, and returns what else it had printed.
    pub(crate) fn last_lines(&mut self) -> Vec<String> {
        self.kill();
        self.lines.iter().collect()
    }

    fn kill(&mut self) {
        // Both do nothing once its end was waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        self.kill();
    }
}
