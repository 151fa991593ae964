//! The ordinary case, on the shortest path: a response with nothing to wait for.

use http::Response;
use http_body::Body;

use super::body::{ResponseBody, Rest, Watch};
use super::grpc::is_grpc;
use super::hold::{Facts, Held, has_no_body, held, known_length};
use crate::drain::Drain;

/// Prepares an answer to go out at once, because its request has spawned nothing and has no hooks. Returns what is
/// known of the rest of the response, for the watch on its end.
///
/// Returns `None` if the answer needs the longer path: an upgrade, or something was spawned since.
#[inline(always)]
pub(super) fn pass_on<B: Body, E>(
    result: &Result<Response<B>, E>,
    facts: &Facts,
    drain: &mut Drain,
) -> Option<Rest> {
    if held(facts) == Held::Upgraded {
        return None;
    }
    if facts.is_end_stream {
        return drain.finish_idle().then(Rest::default);
    }
    if has_no_body(facts) {
        drain.complete();
    }
    Some(Rest {
        length: known_length(&facts.size_hint, facts.content_length),
        grpc: result.as_ref().is_ok_and(|r| is_grpc(r.headers())),
        is_http1: facts.exchange.is_http1,
    })
}

/// Wraps the body of a response. With `watch`, the end of the body waits for tasks that the body spawns as it streams.
#[inline(always)]
pub(super) fn wrap_watched<B: Body>(
    response: Response<B>,
    watch: Option<Watch>,
) -> Response<ResponseBody<B>> {
    let (parts, body) = response.into_parts();
    Response::from_parts(parts, ResponseBody::watched(body, watch))
}
