//! Settings from the environment, which the platform or the deployment sets.

use std::net::TcpListener;
use std::time::Duration;

use super::container::{Container, command, refused};

#[test]
fn it_listens_on_the_port_that_it_is_given() {
    let free = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let port = free.local_addr().expect("it is bound").port();
    // It has accepted no connection, so that the port can be bound again at once.
    drop(free);
    let container = Container::start_with(&[("PORT", &port.to_string())]);
    assert_eq!(container.address.port(), port);
    assert_eq!(container.get("/orders/1").status, 404, "it serves");
}

#[test]
fn by_default_it_listens_where_cloud_run_expects_it() {
    // The help text does not bind a port.
    let help = command(&[]).arg("--help").env_remove("HOST").output();
    let help = String::from_utf8(help.expect("it runs").stdout).expect("text");
    for default in [
        "[env: HOST=] [default: 0.0.0.0]",
        "[env: PORT=] [default: 8080]",
    ] {
        assert!(help.contains(default), "{default}: {help}");
    }
}

#[test]
fn a_bad_port_is_a_clear_error() {
    for bad in ["eighty", "70000", "-1", ""] {
        let (code, printed) = refused(&[("PORT", bad)]);
        assert_eq!(code, Some(2), "{printed}");
        let named = format!("error: invalid value '{bad}' for '--port <PORT>'");
        let empty = "error: a value is required for '--port <PORT>'";
        assert!(
            printed.starts_with(&named) || printed.starts_with(empty),
            "{printed}"
        );
        assert!(!printed.contains("panicked"), "{printed}");
    }
}

#[test]
fn a_port_that_is_taken_is_a_clear_error() {
    let taken = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let address = taken.local_addr().expect("it is bound");
    let (code, printed) = refused(&[("PORT", &address.port().to_string())]);
    assert_eq!(code, Some(2));
    let named = format!("error: cannot listen on {address}: ");
    assert!(printed.starts_with(&named), "{printed}");
}

#[test]
fn the_request_timeout_of_the_service_bounds_the_hold() {
    let timeout = ("CLOUD_RUN_TIMEOUT_SECONDS", "2");
    let container = Container::start_with(&[("PORT", "0"), timeout]);
    let answer = container.post("/orders?takes=60000");
    assert_eq!(answer.status, 503, "it is not acknowledged");
    // The margin is half a second.
    assert!(answer.took >= Duration::from_millis(1500), "{answer:?}");
    assert!(answer.took < Duration::from_secs(10), "{answer:?}");
    let report = container.next_line();
    let named = "deadline exceeded (CLOUD_RUN_TIMEOUT_SECONDS): 0 of 1 ";
    assert!(report.starts_with(named), "{report}");
}

#[test]
fn work_within_the_request_timeout_is_acknowledged() {
    let timeout = ("CLOUD_RUN_TIMEOUT_SECONDS", "20");
    let container = Container::start_with(&[("PORT", "0"), timeout]);
    assert_eq!(container.post("/orders").order(), 1);
}
