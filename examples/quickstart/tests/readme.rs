//! The README shows this program, and what it prints.

use std::time::Instant;

#[path = "../../../tests/support/example.rs"]
mod example;

use example::{Example, Server};

const README: &str = include_str!("../../../README.md");
const PROGRAM: &str = include_str!("../src/main.rs");

#[test]
fn the_readme_shows_this_program() {
    assert!(
        README.contains(PROGRAM),
        "the README has src/main.rs word by word"
    );
}

/// Posts to a path, and returns the status and the body of the answer, and the seconds that it took.
fn post(server: &Server, path: &str) -> (String, String, f64) {
    let sent = Instant::now();
    let answer = server.answer(&format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
    ));
    let seconds = sent.elapsed().as_secs_f64();
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let status = head.lines().next().expect("a status line");
    (status.to_owned(), body.to_owned(), seconds)
}

/// Checks a line of the program against the README. They may differ in their durations.
#[track_caller]
fn assert_shown(line: &str) {
    let shape = |line: &str| -> String {
        let is_time =
            |word: &str| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('.');
        let words = line
            .split(' ')
            .map(|word| if is_time(word) { "TIME" } else { word });
        words.collect::<Vec<_>>().join(" ")
    };
    let shown = README.lines().any(|shown| shape(shown) == shape(line));
    assert!(shown, "the README shows: {line}");
}

#[test]
fn it_answers_and_reports_as_the_readme_shows() {
    let mut program = Example::start(env!("CARGO_BIN_EXE_quickstart"), |command| {
        command.env("PORT", "0");
    });
    let server = program.server();

    let (status, body, seconds) = post(server, "/orders");
    assert_eq!(
        (status.as_str(), body.as_str()),
        ("HTTP/1.1 200 OK", "thank you\n")
    );
    assert!(seconds >= 0.2, "held: {seconds} s");
    assert_shown(&program.next_line("the report of the order"));

    let (status, body, seconds) = post(server, "/invoices");
    assert_eq!(
        (status.as_str(), body.as_str()),
        ("HTTP/1.1 200 OK", "it is on its way\n")
    );
    assert!(
        (1.0..3.0).contains(&seconds),
        "held until the deadline: {seconds} s"
    );
    assert_shown(&program.next_line("the report of the invoice"));

    let (status, body, _) = post(server, "/charges");
    assert_eq!(
        (status.as_str(), body.as_str()),
        ("HTTP/1.1 500 Internal Server Error", "")
    );
    assert_shown(&status);
    assert_shown(&program.next_line("the report of the charge"));
    let more = program.last_lines();
    assert!(more.is_empty(), "one report a request: {more:?}");
}
