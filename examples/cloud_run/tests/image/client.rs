//! A client that uses HTTP/1.1, as the platform does, over the loopback.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::LIMIT;

/// A complete response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) text: String,
    pub(crate) took: Duration,
}

impl Answer {
    /// Returns the number of the acknowledged order.
    #[track_caller]
    pub(crate) fn order(&self) -> usize {
        assert_eq!(self.status, 200, "{self:?}");
        let number = self.text.strip_prefix("order ");
        let number = number.and_then(|number| number.trim_end().parse().ok());
        number.unwrap_or_else(|| panic!("an order: {self:?}"))
    }
}

/// Sends a request and reads the response to its end.
pub(crate) fn send(address: SocketAddr, method: &str, path: &str) -> io::Result<Answer> {
    let start = Instant::now();
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(LIMIT))?;
    let request = format!("{method} {path} HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    parse(&answer, start.elapsed()).ok_or_else(|| io::Error::other(format!("cut: {answer:?}")))
}

/// Parses a response. Returns `None` if it is incomplete.
fn parse(answer: &str, took: Duration) -> Option<Answer> {
    let (head, text) = answer.split_once("\r\n\r\n")?;
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))?;
    (length.parse() == Ok(text.len())).then_some(())?;
    Some(Answer {
        status: head.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?,
        text: text.to_owned(),
        took,
    })
}
