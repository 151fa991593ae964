//! Refused heads with fields of any name and value.

use http::header::CACHE_CONTROL;
use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::collection::vec;
use proptest::prelude::{Strategy, prop_assert_eq, prop_oneof};
use proptest::sample::select;

use crate::for_all::for_all;
use crate::support::refusals::{KEPT, refused, refusing};

/// How the families begin that a refusal keeps.
const FAMILIES: [&str; 9] = [
    "access-control-",
    "content-security-policy",
    "cross-origin-",
    "permissions-policy",
    "ratelimit",
    "x-b3-",
    "x-datadog-",
    "x-rate-limit-",
    "x-ratelimit-",
];

/// Names of fields: any, and such as look like one that is kept.
fn names() -> impl Strategy<Value = String> {
    let letters = "abcdefghijklmnopqrstuvwxyzABCXYZ0123456789-_.!#$%&'*+^`|~";
    let letter = select(letters.chars().collect::<Vec<_>>());
    let any = vec(letter, 1..24).prop_map(String::from_iter);
    let kept = select([&KEPT[..], &FAMILIES[..]].concat());
    prop_oneof![
        any.clone(),
        (kept.clone(), any.clone()).prop_map(|(kept, more)| format!("{kept}{more}")),
        (any, kept.clone()).prop_map(|(before, kept)| format!("{before}{kept}")),
        (kept, 1..8_usize)
            .prop_map(|(kept, less)| kept[..kept.len().saturating_sub(less).max(1)].to_owned()),
    ]
}

#[test]
fn a_refusal_keeps_no_field_that_is_on_no_list() {
    for_all(256, &names(), async |name: String| {
        let name = HeaderName::try_from(name).expect("a token");
        let is_kept = |family: &&str| name.as_str().starts_with(*family);
        let is_kept = KEPT.contains(&name.as_str()) || FAMILIES.iter().any(is_kept);
        let fields = HeaderMap::from_iter([(name.clone(), HeaderValue::from_static("a"))]);
        for (layer, start, _) in refusing() {
            let left = refused(&layer, start, fields.clone()).await;
            prop_assert_eq!(
                left.contains_key(&name),
                is_kept || name == CACHE_CONTROL,
                "{}",
                name
            );
            prop_assert_eq!(&left[CACHE_CONTROL], "no-store");
        }
        Ok(())
    });
}
