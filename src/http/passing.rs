//! A response that there is nothing to wait for: the ordinary case, on the shortest way.

use http::Response;
use http_body::Body;

use super::body::{ResponseBody, Rest, Watch};
use super::grpc::is_grpc;
use super::hold::{Facts, Held, has_no_body, held, known_length};
use crate::drain::Drain;

/// Lets an answer go whose request has spawned nothing and has nothing to await: says what is to be
/// watched of it. `None` for one that has to be looked at more closely.
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

/// What the body spawns while it streams is waited for.
#[inline(always)]
pub(super) fn wrap_watched<B: Body>(
    response: Response<B>,
    watch: Option<Watch>,
) -> Response<ResponseBody<B>> {
    let (parts, body) = response.into_parts();
    Response::from_parts(parts, ResponseBody::watched(body, watch))
}
