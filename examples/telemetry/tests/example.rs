//! The header of `src/main.rs` is correct. Its requests are sent to a real process, and the output is that of the
//! header.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

const SOURCE: &str = include_str!("../src/main.rs");
const LISTENS: &str = "listening on http://127.0.0.1:";
const LIMIT: Duration = Duration::from_secs(30);

/// The example as a real process. The drop kills it.
struct Server {
    child: Child,
    lines: Receiver<String>,
    port: u16,
}

impl Server {
    fn start() -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_telemetry-example"))
            .args(["--port", "0"])
            // In milliseconds. It is longer than the test, so that only a flush exports.
            .env("OTEL_BSP_SCHEDULE_DELAY", "3600000")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it runs");
        let stdout = child.stdout.take().expect("it is piped");
        let (sender, lines) = channel();
        thread::spawn(move || {
            let lines = BufReader::new(stdout).lines().map_while(Result::ok);
            lines.for_each(|line| drop(sender.send(line)));
        });
        let line = lines.recv_timeout(LIMIT).expect("it prints a line in time");
        let port = line.strip_prefix(LISTENS).expect("where it listens");
        let port = port.parse().expect("a port");
        Self { child, lines, port }
    }

    /// Sends a request and returns the body of the answer.
    fn answer(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("it listens");
        stream.set_read_timeout(Some(LIMIT)).expect("a limit");
        let request = format!("{request} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        answer.split("\r\n\r\n").nth(1).expect("a body").to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Errors are ignored, because the process may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn each_request_is_answered_after_its_spans_as_the_header_says() {
    let mut server = Server::start();
    for (request, shown) in [
        ("POST /orders", "$ curl -d '' http://127.0.0.1:8080/orders"),
        ("GET /", "$ curl http://127.0.0.1:8080/"),
    ] {
        let answer = server.answer(request);
        let header = SOURCE.lines().map_while(|line| line.strip_prefix("//!"));
        let header = header.map(|line| line.strip_prefix(' ').unwrap_or(line));
        let mut header = header.skip_while(|line| *line != shown).skip(1);
        assert_eq!(header.next(), Some(answer.trim_end()), "{request}");
        assert_eq!(header.next(), Some("# the server, before that:"));
        for line in header.take_while(|line| *line != "```") {
            let printed = server.lines.recv_timeout(LIMIT);
            assert_eq!(printed.as_deref(), Ok(line), "{request}");
        }
    }
    let pid = i32::try_from(server.child.id()).expect("a process id");
    let pid = Pid::from_raw(pid).expect("a process id");
    kill_process(pid, Signal::TERM).expect("it runs");
    let status = server.child.wait().expect("it ends");
    assert_eq!(status.code(), Some(0), "nothing was lost");
    assert!(
        server.lines.recv_timeout(LIMIT).is_err(),
        "nothing was left to export"
    );
}

#[test]
fn bad_arguments_are_refused() {
    for arguments in [&["--port", "many"][..], &["--ports", "1"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_telemetry-example"));
        let refused = command.args(arguments).output().expect("it runs");
        assert_eq!(refused.status.code(), Some(2), "{arguments:?}");
    }
}
