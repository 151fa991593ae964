//! The header of `src/main.rs` is correct. Its orders are placed with the real example, and the page contains the lines
//! of the header.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

// This test uses only a part of the module.
#[allow(dead_code)]
#[path = "../../../tests/support/example.rs"]
mod example;

use example::{Example, LIMIT, Server};

const SOURCE: &str = include_str!("../src/main.rs");

#[test]
fn after_its_orders_the_page_is_what_the_header_of_the_example_says() {
    let example = start();
    let shop = Shop(example.server());
    let header = header();
    let (orders, page_shown) = header
        .split_once("$ curl http://127.0.0.1:3000/metrics\n")
        .expect("it shows the page");
    let mut placed = 0;
    for order in orders.split("$ curl ").skip(1) {
        let (command, answer) = order.split_once('\n').expect("the rest");
        let (_, address) = command.split_once("audit=").expect("an order");
        let audit = address.split('\'').next().expect("the audit");
        let wanted = answer.lines().next().expect("the answer");
        let (head, body) = shop.order(audit);
        let shown = if wanted == "503" { head } else { body };
        assert!(shown.contains(wanted), "{command}: {shown}");
        placed += 1;
    }
    assert_eq!(placed, 8, "all orders were read");

    let page = shop.page_with("tower_task_tracker_live_tasks 0");
    let lines: BTreeSet<String> = page.lines().map(without_times).collect();
    let shown = page_shown.split("```").next().expect("the page");
    assert!(shown.lines().count() > 30, "the page was read: {shown}");
    for line in shown.lines().filter(|line| *line != "...") {
        let is_there = line.is_empty() || lines.contains(&without_times(line));
        assert!(is_there, "{line}\nin {page}");
    }
}

#[test]
fn the_page_names_units_labels_and_help_as_prometheus_wants_them() {
    let example = start();
    let shop = Shop(example.server());
    for audit in ["ok", "fails", "panics", "aborted"] {
        shop.order(audit);
    }
    let page = shop.page_with("tower_task_tracker_live_tasks 0");
    for line in page.lines().filter(|line| !line.is_empty()) {
        if let Some(comment) = line.strip_prefix("# ") {
            let (kind, rest) = comment.split_once(' ').expect("a name");
            let (name, text) = rest.split_once(' ').expect("a text");
            let ends = match (kind, text) {
                ("HELP", _) => continue,
                ("TYPE", "counter") => name.ends_with("_total"),
                ("TYPE", "gauge") => !name.ends_with("_total"),
                ("TYPE", "histogram") => name.ends_with("_seconds"),
                _ => false,
            };
            assert!(ends, "{line}");
            assert!(page.contains(&format!("# HELP {name} ")), "no help: {line}");
            continue;
        }
        assert!(line.starts_with("tower_task_tracker_"), "{line}");
        let labels = line
            .split_once('{')
            .and_then(|(_, rest)| rest.split_once('}'));
        let labels = labels.map_or("", |(labels, _)| labels);
        for label in labels.split(',').filter(|label| !label.is_empty()) {
            let (name, value) = label.split_once('=').expect("a value");
            let values: &[&str] = match name {
                "outcome" => &["\"drained\""],
                "state" => &["\"completed\"", "\"failed\"", "\"panicked\"", "\"aborted\""],
                "task" => &["\"audit\"", "\"news\""],
                "le" => continue,
                _ => &[],
            };
            assert!(values.contains(&value), "a label without bounds: {line}");
        }
    }
}

#[test]
fn the_page_shows_what_is_held_while_it_is_and_that_it_is_no_more() {
    let example = start();
    let shop = Shop(example.server());
    thread::scope(|scope| {
        let order = scope.spawn(|| shop.order("late"));
        let page = shop.page_with("tower_task_tracker_held_responses 1");
        assert!(!page.contains("tower_task_tracker_live_tasks 0"), "{page}");
        drop(order.join().expect("no panic"));
    });
    let page = shop.page_with("tower_task_tracker_held_responses 0");
    assert!(
        page.contains("tower_task_tracker_stragglers_total{reason=\"deadline\"} 1"),
        "{page}"
    );
    shop.page_with("tower_task_tracker_live_tasks 0");
}

fn start() -> Example {
    Example::start(env!("CARGO_BIN_EXE_metrics-example"), |command| {
        // A task panics on purpose. Its backtrace would take as long as a deadline.
        command.env("RUST_BACKTRACE", "0").stderr(Stdio::null());
    })
}

struct Shop<'a>(&'a Server);

impl Shop<'_> {
    /// Places an order. Returns the head and the body of the answer.
    fn order(&self, audit: &str) -> (String, String) {
        self.send("POST", &format!("/orders?audit={audit}"))
    }

    /// Waits until the page contains this line, and returns the page.
    fn page_with(&self, line: &str) -> String {
        let start = Instant::now();
        loop {
            let (_, page) = self.send("GET", "/metrics");
            if page.lines().any(|this| this == line) {
                return page;
            }
            assert!(start.elapsed() < LIMIT, "{line}: {page}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn send(&self, method: &str, path: &str) -> (String, String) {
        let request =
            format!("{method} {path} HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n");
        let answer = self.0.answer(&request);
        let (head, body) = answer.split_once("\r\n\r\n").expect("a whole head");
        (head.to_owned(), body.to_owned())
    }
}

fn header() -> String {
    let lines = SOURCE.lines().map_while(|line| line.strip_prefix("//!"));
    let lines = lines.map(|line| line.strip_prefix(' ').unwrap_or(line));
    lines.collect::<Vec<_>>().join("\n")
}

/// Removes the values that depend on the machine: the sum of the times, and the number of times in each bucket.
fn without_times(line: &str) -> String {
    let is_time = line.contains("_seconds_sum{") || line.contains("_seconds_bucket{");
    match line.rsplit_once(' ') {
        Some((name, _)) if is_time => name.to_owned(),
        _ => line.to_owned(),
    }
}
