//! The header of `src/main.rs` is correct. Its commands run, each on a server of its own, and the output is that of the
//! header, except for the times.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use crate::support::LIMIT;

const SOURCE: &str = include_str!("../../src/main.rs");
const COMMAND: &str = "$ cargo run -q -p grpc-example -- ";
const LISTENS: &str = "listening on http://127.0.0.1:";

#[test]
fn each_command_does_what_the_header_says() {
    let header = SOURCE.lines().map_while(|line| line.strip_prefix("//!"));
    let header: Vec<&str> = header.map(|line| line.trim_start_matches(' ')).collect();
    let header = header.join("\n");
    let shown: Vec<Shown> = header.split(COMMAND).skip(1).map(Shown::parse).collect();
    assert_eq!(shown.len(), header.matches("# the server:").count());
    assert!(!shown.is_empty(), "a command in: {header}");
    thread::scope(|scope| {
        for shown in shown {
            scope.spawn(move || shown.check());
        }
    });
}

/// A command of the header and its output.
#[derive(Debug)]
struct Shown<'a> {
    arguments: Vec<&'a str>,
    client: Vec<&'a str>,
    server: Vec<&'a str>,
}

impl<'a> Shown<'a> {
    fn parse(text: &'a str) -> Self {
        let mut lines = text.lines().take_while(|line| !matches!(*line, "" | "```"));
        let arguments = lines.next().expect("a command");
        Self {
            arguments: arguments.split(' ').collect(),
            client: lines
                .by_ref()
                .take_while(|line| *line != "# the server:")
                .collect(),
            server: lines.collect(),
        }
    }

    fn check(&self) {
        let server = Server::start();
        let client = Command::new(env!("CARGO_BIN_EXE_grpc-example"))
            .args(["--port", &server.port])
            .args(&self.arguments)
            .output()
            .expect("it runs");
        assert!(client.status.success(), "{self:?}: {client:?}");
        let printed = String::from_utf8(client.stdout).expect("text");
        let printed: Vec<&str> = printed.lines().collect();
        assert_eq!(timeless(&printed), timeless(&self.client), "{self:?}");
        for (line, shown) in printed.iter().zip(&self.client) {
            // A line may come later on a busy machine, but not earlier.
            assert!(seconds(line) > seconds(shown) - 0.05, "{line} {self:?}");
        }
        let printed: Vec<String> = self.server.iter().map(|_| server.next_line()).collect();
        let printed: Vec<&str> = printed.iter().map(String::as_str).collect();
        assert_eq!(timeless(&printed), timeless(&self.server), "{self:?}");
    }
}

/// The example as a real process. The drop kills it.
struct Server {
    child: Child,
    lines: Receiver<String>,
    port: String,
}

impl Server {
    fn start() -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_grpc-example"))
            .args(["serve", "--port", "0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn();
        let mut child = child.expect("it runs");
        let stdout = child.stdout.take().expect("it is piped");
        let (sender, lines) = channel();
        thread::spawn(move || {
            let lines = BufReader::new(stdout).lines().map_while(Result::ok);
            lines.for_each(|line| drop(sender.send(line)));
        });
        let mut server = Self {
            child,
            lines,
            port: String::new(),
        };
        let line = server.next_line();
        let port = line.strip_prefix(LISTENS);
        server.port = port.expect("where it listens").to_owned();
        server
    }

    fn next_line(&self) -> String {
        let line = self.lines.recv_timeout(LIMIT);
        line.expect("it prints a line in time")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Errors are ignored, because the process may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns the time at the beginning of a line of the client.
fn seconds(line: &str) -> f64 {
    let seconds = line.split(' ').next().map(str::parse);
    seconds.expect("a word").expect("a time")
}

/// Replaces each time in the lines with `T`.
fn timeless(lines: &[&str]) -> Vec<String> {
    let is_time = |word: &str| {
        let number = word.trim_end_matches(['m', 's', 'µ', ',', ')', ';', ':']);
        number.contains('.') && number.parse::<f64>().is_ok()
    };
    let timeless = |line: &&str| {
        let words = line.split(' ');
        let words = words.map(|word| if is_time(word) { "T" } else { word });
        words.collect::<Vec<_>>().join(" ")
    };
    lines.iter().map(timeless).collect()
}
