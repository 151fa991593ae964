//! The table of what is held, row by row. The tests call the library's own decision directly.

use hold::{
    Exchange, Facts, Held, MethodKind, content_length, has_no_body, held, held_without_required,
    is_never_sent, known_length,
};
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Version};
use http_body::SizeHint;
use tower_task_tracker::Hold;

#[path = "../../../src/http/hold.rs"]
mod hold;

const HOLDING: [Hold; 3] = [Hold::Auto, Hold::Head, Hold::End];

fn exchange(method: MethodKind) -> Exchange {
    Exchange {
        method,
        is_http1: true,
    }
}

/// A plain answer of unknown length.
fn facts(hold: Hold) -> Facts {
    Facts {
        hold,
        exchange: exchange(MethodKind::Other),
        status: StatusCode::OK,
        content_length: None,
        size_hint: SizeHint::default(),
        is_end_stream: false,
        required: false,
    }
}

#[test]
fn row_no_body_the_head_is_held_in_every_holding_mode() {
    for hold in HOLDING {
        let ended = Facts {
            is_end_stream: true,
            ..facts(hold)
        };
        assert_eq!(held(&ended), Held::Head, "{hold:?}: at its end already");
        let zero = Facts {
            size_hint: SizeHint::with_exact(0),
            ..facts(hold)
        };
        assert_eq!(held(&zero), Held::Head, "{hold:?}: an exact hint of 0");
        let header = Facts {
            content_length: Some(0),
            ..facts(hold)
        };
        assert_eq!(held(&header), Held::Head, "{hold:?}: content-length: 0");
        for facts in [ended, zero, header] {
            assert!(has_no_body(&facts), "{facts:?}");
            assert!(!is_never_sent(&facts), "trailers may follow: {facts:?}");
        }
    }
}

#[test]
fn row_head_204_and_304_the_head_is_held_in_every_holding_mode() {
    for hold in HOLDING {
        for size_hint in [SizeHint::default(), SizeHint::with_exact(7)] {
            let head = Facts {
                exchange: exchange(MethodKind::Head),
                size_hint,
                ..facts(hold)
            };
            let no_content = Facts {
                status: StatusCode::NO_CONTENT,
                size_hint,
                ..facts(hold)
            };
            let not_modified = Facts {
                status: StatusCode::NOT_MODIFIED,
                size_hint,
                ..facts(hold)
            };
            for facts in [head, no_content, not_modified] {
                assert_eq!(held(&facts), Held::Head, "{facts:?}");
                assert!(has_no_body(&facts) && is_never_sent(&facts), "{facts:?}");
            }
        }
    }
}

#[test]
fn row_101_and_2xx_to_connect_nothing_is_held_in_any_mode() {
    for hold in [
        Hold::Auto,
        Hold::Head,
        Hold::End,
        Hold::Required,
        Hold::Never,
    ] {
        let switching = Facts {
            status: StatusCode::SWITCHING_PROTOCOLS,
            is_end_stream: true,
            ..facts(hold)
        };
        assert_eq!(held(&switching), Held::Upgraded, "{hold:?}");
        let connect = Facts {
            exchange: exchange(MethodKind::Connect),
            ..facts(hold)
        };
        assert_eq!(held(&connect), Held::Upgraded, "{hold:?}");
        let created = Facts {
            status: StatusCode::CREATED,
            ..connect
        };
        assert_eq!(held(&created), Held::Upgraded, "{hold:?}");
    }
    let refused = Facts {
        exchange: exchange(MethodKind::Connect),
        status: StatusCode::FORBIDDEN,
        ..facts(Hold::Auto)
    };
    assert_eq!(
        held(&refused),
        Held::End,
        "a refused CONNECT is a response like any other"
    );
    assert_eq!(
        held(&facts(Hold::Auto)),
        Held::End,
        "2xx is nothing special elsewhere"
    );
}

#[test]
fn row_never_nothing_is_held() {
    let plain = facts(Hold::Never);
    let head = Facts {
        exchange: exchange(MethodKind::Head),
        ..plain.clone()
    };
    let empty = Facts {
        is_end_stream: true,
        ..plain.clone()
    };
    for facts in [plain, head, empty] {
        assert_eq!(held(&facts), Held::Nothing, "{facts:?}");
    }
}

#[test]
fn row_auto_an_exact_length_is_looked_into_and_everything_else_streams() {
    let exact = Facts {
        size_hint: SizeHint::with_exact(7),
        ..facts(Hold::Auto)
    };
    assert_eq!(held(&exact), Held::HeadIfWhole(7));
    let header = Facts {
        content_length: Some(7),
        ..facts(Hold::Auto)
    };
    assert_eq!(
        held(&header),
        Held::End,
        "a stream behind a header is no body that is there"
    );
    assert_eq!(held(&facts(Hold::Auto)), Held::End);
    let mut range = SizeHint::new();
    range.set_lower(1);
    range.set_upper(9);
    let bounded = Facts {
        size_hint: range,
        ..facts(Hold::Auto)
    };
    assert_eq!(held(&bounded), Held::End, "a range is no exact length");
}

#[test]
fn row_head_and_end_force_one_or_the_other() {
    for size_hint in [SizeHint::default(), SizeHint::with_exact(7)] {
        let head = Facts {
            size_hint,
            ..facts(Hold::Head)
        };
        assert_eq!(held(&head), Held::Head);
        assert!(!has_no_body(&head));
        let end = Facts {
            size_hint,
            ..facts(Hold::End)
        };
        assert_eq!(held(&end), Held::End);
    }
}

#[test]
fn an_exact_hint_goes_before_the_header() {
    let contradiction = Facts {
        size_hint: SizeHint::with_exact(7),
        content_length: Some(0),
        ..facts(Hold::End)
    };
    assert_eq!(
        held(&contradiction),
        Held::End,
        "the server goes by the hint"
    );
    assert_eq!(known_length(&SizeHint::with_exact(7), Some(9)), Some(7));
    assert_eq!(known_length(&SizeHint::default(), Some(9)), Some(9));
    assert_eq!(known_length(&SizeHint::default(), None), None);
}

#[test]
fn the_method_decides_the_kind_of_the_exchange() {
    let of = |method: Method| {
        let mut request = Request::new(());
        *request.method_mut() = method;
        Exchange::of(&request).method
    };
    assert_eq!(of(Method::HEAD), MethodKind::Head);
    assert_eq!(of(Method::CONNECT), MethodKind::Connect);
    for method in [Method::GET, Method::POST, Method::PUT, Method::OPTIONS] {
        assert_eq!(of(method), MethodKind::Other);
    }
}

#[test]
fn the_version_decides_whether_the_server_drops_a_body_at_its_length() {
    for (version, is_http1) in [
        (Version::HTTP_09, true),
        (Version::HTTP_10, true),
        (Version::HTTP_11, true),
        (Version::HTTP_2, false),
        (Version::HTTP_3, false),
    ] {
        let mut request = Request::new(());
        *request.version_mut() = version;
        assert_eq!(Exchange::of(&request).is_http1, is_http1, "{version:?}");
    }
    assert!(
        Exchange::of(&Request::new(())).is_http1,
        "as requests are built"
    );
}

#[test]
fn row_required_what_is_held_is_held_for_required_tasks_alone() {
    for required in [false, true] {
        let plain = Facts {
            required,
            ..facts(Hold::Required)
        };
        let whole = Facts {
            size_hint: SizeHint::with_exact(7),
            ..plain.clone()
        };
        let head = Facts {
            exchange: exchange(MethodKind::Head),
            ..plain.clone()
        };
        let empty = Facts {
            is_end_stream: true,
            ..plain.clone()
        };
        for facts in [plain, whole, head, empty] {
            assert_eq!(held(&facts), Held::WhileRequired, "{facts:?}");
            assert_eq!(
                held_without_required(&facts),
                Held::WhileRequired,
                "{facts:?}"
            );
        }
    }
    let upgraded = Facts {
        status: StatusCode::SWITCHING_PROTOCOLS,
        ..facts(Hold::Required)
    };
    assert_eq!(held(&upgraded), Held::Upgraded);
}

#[test]
fn content_length_counts_if_all_its_fields_agree_on_a_number() {
    let of = |values: &[&'static str]| {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(CONTENT_LENGTH, HeaderValue::from_static(value));
        }
        content_length(&headers)
    };
    assert_eq!(of(&[]), None);
    assert_eq!(of(&["0"]), Some(0));
    assert_eq!(of(&["12"]), Some(12));
    assert_eq!(of(&["12", "12"]), Some(12));
    assert_eq!(of(&["12", "13"]), None);
    assert_eq!(of(&["12", "x"]), None);
    for wrong in [
        "",
        "+1",
        "-1",
        " 1",
        "1x",
        "0x1",
        "1,1",
        "18446744073709551616",
    ] {
        assert_eq!(of(&[wrong]), None, "{wrong:?}");
    }
}

#[test]
fn while_a_required_task_is_alive_auto_holds_the_head_and_then_what_it_would_have_held() {
    for (size_hint, then) in [
        (SizeHint::default(), Held::End),
        (SizeHint::with_exact(7), Held::HeadIfWhole(7)),
        (SizeHint::with_exact(0), Held::Head),
    ] {
        for hold in HOLDING {
            let facts = Facts {
                required: true,
                size_hint,
                ..facts(hold)
            };
            if hold == Hold::Auto {
                assert_eq!(held(&facts), Held::Head, "{facts:?}");
                assert_eq!(held_without_required(&facts), then, "{facts:?}");
            } else {
                assert_eq!(held(&facts), held_without_required(&facts), "{facts:?}");
            }
        }
    }
}
