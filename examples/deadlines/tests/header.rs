//! The header of `src/main.rs` is correct. Its commands run on the real example, and the output is that of the header,
//! except for the times.

use std::thread;
use std::time::Instant;

#[path = "../../../tests/support/example.rs"]
mod example;

use example::{Example, LIMIT};

const SOURCE: &str = include_str!("../src/main.rs");
const VARIABLE: &str = "CLOUD_RUN_TIMEOUT_SECONDS";

#[test]
fn each_command_does_what_the_header_of_the_example_says() {
    let (as_usual, _) = header();
    check(&as_usual, &[]);
}

#[test]
fn the_limit_of_a_platform_does_what_the_header_of_the_example_says() {
    let (_, on_a_platform) = header();
    check(&on_a_platform, &[(VARIABLE, "1")]);
}

/// Returns the parts of the header without and with the limit of a platform.
fn header() -> (String, String) {
    let lines = SOURCE.lines().map_while(|line| line.strip_prefix("//!"));
    let lines = lines.map(|line| line.strip_prefix(' ').unwrap_or(line));
    let header = lines.collect::<Vec<_>>().join("\n");
    let (as_usual, on_a_platform) = header
        .split_once(&format!("{VARIABLE}=1 cargo run"))
        .expect("it has the command that starts it with a limit");
    (as_usual.to_owned(), on_a_platform.to_owned())
}

/// Runs all commands at once, each on a server of its own, because most of the time they wait.
fn check(header: &str, environment: &[(&str, &str)]) {
    let shown: Vec<Shown> = header.split("$ curl ").skip(1).map(Shown::parse).collect();
    assert!(!shown.is_empty(), "a command in: {header}");
    thread::scope(|scope| {
        for shown in shown {
            scope.spawn(move || shown.check(start(environment)));
        }
    });
}

/// Starts the example with the environment of a platform, or without one.
fn start(environment: &[(&str, &str)]) -> Example {
    Example::start(env!("CARGO_BIN_EXE_deadlines"), |command| {
        command
            .env_remove(VARIABLE)
            .envs(environment.iter().copied());
    })
}

/// A command of the header and its output.
struct Shown<'a> {
    command: &'a str,
    answer: String,
    seconds: f64,
    printed: String,
}

impl<'a> Shown<'a> {
    fn parse(text: &'a str) -> Self {
        let (command, text) = text.split_once('\n').expect("the rest");
        let text = text.split("```").next().unwrap_or_default();
        let (client, printed) = text.split_once("# the server:\n").expect("both sides");
        let (answer, time) = client.trim_end().rsplit_once('\n').expect("a last line");
        let seconds = time.strip_suffix(" s").and_then(|time| time.parse().ok());
        Self {
            command,
            answer: without_times(answer.trim_end()),
            seconds: seconds.expect("the time"),
            printed: without_times(printed.trim_end()),
        }
    }

    fn check(&self, mut example: Example) {
        let Self {
            command, seconds, ..
        } = self;
        let start = Instant::now();
        let answer = example.server().answer(&self.request());
        let answer = without_times(&shown(&answer));
        let took = start.elapsed().as_secs_f64();
        assert_eq!(answer, self.answer, "{command}");
        // The route determines the tenths. The rest depends on the machine.
        let least = (seconds * 10.0).floor() / 10.0;
        let range = least..seconds + LIMIT.as_secs_f64();
        assert!(range.contains(&took), "{command}\n{took} s");

        for wanted in self.printed.lines() {
            let line = example.next_line(wanted);
            assert_eq!(without_times(&line), wanted, "{command}");
        }
        assert_eq!(example.last_lines(), [""; 0], "{command}");
    }

    /// Returns the request that `curl` sends.
    fn request(&self) -> String {
        let between = |before, after| self.command.split_once(before)?.1.split(after).next();
        let path = between("http://127.0.0.1:3000", '\'').expect("where to");
        let header = between("-H '", '\'').map_or(String::new(), |header| format!("{header}\r\n"));
        format!("POST {path} HTTP/1.1\r\nhost: here\r\nconnection: close\r\n{header}\r\n")
    }
}

/// Returns the parts of an answer that the header shows: the status, the time that it was held, and the body.
fn shown(answer: &str) -> String {
    let (head, body) = answer.split_once("\r\n\r\n").expect("a whole head");
    let (status, headers) = head.split_once("\r\n").expect("some headers");
    let is_shown = |header: &&str| header.starts_with("server-timing:");
    let timing: Vec<_> = headers.lines().filter(is_shown).collect();
    let shown = format!("{status}\n{}\n\n{body}", timing.join("\n"));
    shown.trim_end().to_owned()
}

/// Replaces every number that has a decimal point, and its unit, with `_`. These numbers are times.
fn without_times(text: &str) -> String {
    let parts = text.split_inclusive([' ', ',', ';', ':', '=', '(', ')', '\n']);
    let masked = parts.map(|part| {
        let number = part.trim_end_matches([' ', ',', ';', ':', '=', '(', ')', '\n']);
        let is_time = number.contains('.') && number.starts_with(|c: char| c.is_ascii_digit());
        if is_time {
            part.replacen(number, "_", 1)
        } else {
            part.to_owned()
        }
    });
    masked.collect()
}
