//! Decides what is held of a response. The whole decision is one function: [`held`].

use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Method, Request, StatusCode, Version};
use http_body::SizeHint;

use super::Hold;

/// The facts that the decision depends on.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    pub(crate) hold: Hold,
    pub(crate) exchange: Exchange,
    pub(crate) status: StatusCode,
    /// The value of the `content-length` fields, if they agree on one number. `None` if an exact `size_hint` overrides
    /// it.
    pub(crate) content_length: Option<u64>,
    pub(crate) size_hint: SizeHint,
    pub(crate) is_end_stream: bool,
    /// A required task is alive.
    pub(crate) required: bool,
}

/// The facts about the request that the response depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exchange {
    pub(crate) method: MethodKind,
    /// HTTP/1.x: the server drops a body that has reached its length. In later versions it may poll the body again.
    pub(crate) is_http1: bool,
}

/// The kind of the request's method, as far as the response depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MethodKind {
    Head,
    Connect,
    Other,
}

/// What is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Held {
    /// Nothing: the exchange goes on as an upgraded stream.
    Upgraded,
    /// Nothing: [`Hold::Never`].
    Nothing,
    /// The head while a required task is alive, and later the end while one is alive.
    WhileRequired,
    /// The head, and so all of the response.
    Head,
    /// The head, if the first frame is ready and has all of this many bytes. Otherwise the end.
    HeadIfWhole(u64),
    /// The end of the body.
    End,
}

/// Returns what is held of a response.
#[inline]
pub(crate) fn held(facts: &Facts) -> Held {
    if goes_on_as_stream(facts) {
        Held::Upgraded
    } else if facts.hold == Hold::Never {
        Held::Nothing
    } else if facts.hold == Hold::Required {
        Held::WhileRequired
    } else if has_no_body(facts)
        || facts.hold == Hold::Head
        || (facts.hold == Hold::Auto && facts.required)
    {
        Held::Head
    } else if let (Hold::Auto, Some(length)) = (facts.hold, facts.size_hint.exact()) {
        Held::HeadIfWhole(length)
    } else {
        Held::End
    }
}

/// Returns what is held once no required task is alive.
pub(crate) fn held_without_required(facts: &Facts) -> Held {
    held(&Facts {
        required: false,
        ..facts.clone()
    })
}

/// Returns whether the exchange goes on as an upgraded stream or a tunnel: RFC 9110, sections 7.8 and 9.3.6.
#[inline]
fn goes_on_as_stream(facts: &Facts) -> bool {
    facts.status == StatusCode::SWITCHING_PROTOCOLS
        || (facts.exchange.method == MethodKind::Connect && facts.status.is_success())
}

/// Returns whether the server sends the end with the head. It may then drop the body without a poll, so this drop is no
/// disconnect.
#[inline]
pub(crate) fn has_no_body(facts: &Facts) -> bool {
    is_never_sent(facts)
        || facts.is_end_stream
        || known_length(&facts.size_hint, facts.content_length) == Some(0)
}

/// Returns whether no client gets the body, whatever is in it: RFC 9110, section 6.4.1.
#[inline]
pub(crate) fn is_never_sent(facts: &Facts) -> bool {
    facts.exchange.method == MethodKind::Head
        || facts.status == StatusCode::NO_CONTENT
        || facts.status == StatusCode::NOT_MODIFIED
}

/// Returns the length after which a server ends the response. hyper takes an exact `size_hint` first, and reads the
/// header only if there is none.
#[inline]
pub(crate) fn known_length(size_hint: &SizeHint, content_length: Option<u64>) -> Option<u64> {
    size_hint.exact().or(content_length)
}

impl Exchange {
    pub(crate) fn of<B>(request: &Request<B>) -> Self {
        let method = match *request.method() {
            Method::HEAD => MethodKind::Head,
            Method::CONNECT => MethodKind::Connect,
            _ => MethodKind::Other,
        };
        Self {
            method,
            is_http1: request.version() < Version::HTTP_2,
        }
    }
}

/// Returns the value of the `content-length` fields, if all agree on one number. Digits only: RFC 9110, section 8.6.
pub(crate) fn content_length(headers: &HeaderMap) -> Option<u64> {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter().map(|value| {
        let digits = value.to_str().ok()?;
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| digits.parse().ok()).flatten()
    });
    let first = lengths.next()??;
    lengths.all(|length| length == Some(first)).then_some(first)
}
