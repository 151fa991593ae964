//! A response that there is nothing to wait for: the ordinary case, on the shortest way.

use http::Response;
use http_body::Body;

use super::body::ResponseBody;
use super::grpc::is_grpc;
use super::hold::{Exchange, Facts, Held, has_no_body, held, known_length};
use crate::drain::Drain;
use crate::settings::Hold;

type Answered<B, E> = Result<Response<B>, E>;

/// Lets a response go whose request has spawned nothing and has nothing to await. What its body spawns
/// while it streams is watched for. One that has to be looked at more closely is given back.
pub(crate) fn pass<B: Body, E>(
    result: Answered<B, E>,
    exchange: Exchange,
    drain: &mut Drain,
) -> Result<Answered<ResponseBody<B>, E>, Answered<B, E>> {
    let response = match result {
        Ok(response) => response,
        Err(error) => {
            return if drain.finish_idle() {
                Ok(Err(error))
            } else {
                Err(Err(error))
            };
        }
    };
    let facts = Facts::of(&response, exchange, Hold::Auto, false);
    // The body was asked just now, and may have spawned.
    if held(&facts) == Held::Upgraded || !drain.is_idle() {
        return Err(Ok(response));
    }
    let mut grpc = false;
    if facts.is_end_stream {
        if !drain.finish_idle() {
            return Err(Ok(response));
        }
    } else {
        grpc = is_grpc(response.headers());
        if has_no_body(&facts) {
            drain.complete();
        }
    }
    let length = known_length(&facts.size_hint, facts.content_length);
    Ok(Ok(response.map(|body| {
        let mut body = ResponseBody::new(body);
        body.watch(drain.take(), length, grpc);
        body
    })))
}
