//! The shop over its service: what a client gets, and what a worker does later.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Request, Response, StatusCode};
use axum::routing::post;
use clap::Parser;
use handoff::args::Args;
use handoff::mail::Mailer;
use handoff::store::{QUEUE, Store};
use handoff::{shop, worker};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use tower_task_tracker::TrackerHandle;

/// A mail service whose time and answer may be changed.
#[derive(Debug, Clone)]
struct MailService(Arc<Mutex<Mails>>);

#[derive(Debug)]
struct Mails {
    takes: Duration,
    answer: StatusCode,
    /// How often each receipt was sent, by its key.
    sent: HashMap<String, usize>,
    attempts: usize,
}

impl MailService {
    async fn start() -> (Self, String) {
        let mail = Self(Arc::new(Mutex::new(Mails {
            takes: Duration::ZERO,
            answer: StatusCode::OK,
            sent: HashMap::new(),
            attempts: 0,
        })));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("it has one"));
        let app: Router = Router::new()
            .route("/", post(Self::send))
            .with_state(mail.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        (mail, url)
    }

    fn set<T>(&self, change: impl FnOnce(&mut Mails) -> T) -> T {
        change(&mut self.0.lock().expect("no panic holds this lock"))
    }

    async fn send(State(mail): State<Self>, headers: HeaderMap) -> StatusCode {
        let key = headers["idempotency-key"]
            .to_str()
            .expect("text")
            .to_owned();
        let (takes, answer) = mail.set(|mails| {
            mails.attempts += 1;
            (mails.takes, mails.answer)
        });
        sleep(takes).await;
        if answer.is_success() {
            mail.set(|mails| *mails.sent.entry(key).or_default() += 1);
        }
        answer
    }
}

/// A shop with a store in a new file, and without a worker.
struct Shop {
    app: Router,
    store: Store,
    mail: MailService,
    mailer: Mailer,
    handle: TrackerHandle,
    _folder: TempDir,
}

impl Shop {
    async fn open(options: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite://{}", folder.path().join("shop.db").display());
        let store = Store::open(&url).await.expect("a new file");
        let (mail, url) = MailService::start().await;
        let mailer = Mailer::new(url).expect("a client");
        let handle = TrackerHandle::new();
        let options = ["handoff", "--drain-ms", "400"]
            .into_iter()
            .chain(options.iter().copied());
        let args = Args::parse_from(options);
        Self {
            app: shop::router(&args, store.clone(), mailer.clone(), &handle),
            store,
            mail,
            mailer,
            handle,
            _folder: folder,
        }
    }

    /// Opens a shop whose mails take longer than a response may wait.
    async fn with_slow_mail(options: &[&str]) -> Self {
        let shop = Self::open(options).await;
        shop.mail.set(|mails| mails.takes = Duration::from_secs(60));
        shop
    }

    async fn call(&self, method: &str, path: &str, body: impl Into<Body>) -> (Response<()>, Value) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .body(body.into());
        let request = request.expect("a request");
        let response = self.app.clone().oneshot(request).await.expect("infallible");
        let (head, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.expect("a body");
        let body = serde_json::from_slice(&body).expect("JSON");
        (Response::from_parts(head, ()), body)
    }

    async fn order(&self, path: &str) -> (StatusCode, Value) {
        let order = json!({ "item": "tea", "quantity": 2 }).to_string();
        let (head, body) = self.call("POST", path, order).await;
        (head.status(), body)
    }

    async fn receipt(&self, id: i64) -> Value {
        let (head, mut order) = self.call("GET", &format!("/orders/{id}"), "").await;
        assert_eq!(head.status(), StatusCode::OK);
        order["receipt"].take()
    }

    async fn jobs(&self) -> i64 {
        let Store::Sqlite(store) = &self.store else {
            panic!("a SQLite store");
        };
        let count = sqlx::query_scalar("SELECT count(*) FROM Jobs WHERE job_type = ?");
        let count = count.bind(QUEUE).fetch_one(store.pool()).await;
        count.expect("the table is there")
    }

    /// Runs a worker until this receipt was sent.
    async fn work_until_sent(&self, id: i64) {
        let stop = CancellationToken::new();
        let (store, mailer) = (self.store.clone(), self.mailer.clone());
        let worker = worker::run(store, mailer, self.handle.clone(), stop.clone());
        let worker = tokio::spawn(worker);
        let sent = async {
            while self.receipt(id).await != "sent" {
                sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(Duration::from_secs(30), sent)
            .await
            .expect("it is sent");
        stop.cancel();
        timeout(Duration::from_secs(10), worker)
            .await
            .expect("it ends")
            .expect("no panic");
    }
}

#[tokio::test]
async fn a_receipt_that_is_sent_in_time_writes_nothing_to_the_queue() {
    let shop = Shop::open(&[]).await;
    for id in 1..=50 {
        let answer = shop.order("/orders").await;
        let expected = json!({ "id": id, "receipt": "sent" });
        assert_eq!(answer, (StatusCode::CREATED, expected));
        assert_eq!(shop.receipt(id).await, "sent");
    }
    assert_eq!(shop.jobs().await, 0);
    assert_eq!(shop.mail.set(|mails| mails.sent.len()), 50);
}

#[tokio::test]
async fn a_new_order_has_a_location_and_can_be_read_there() {
    let shop = Shop::open(&[]).await;
    let order = r#"{"item":"tea","quantity":2}"#;
    let (head, _) = shop.call("POST", "/orders", order).await;
    assert_eq!(head.headers()["location"], "/orders/1");
    let (_, order) = shop.call("GET", "/orders/1", "").await;
    let expected = json!({ "id": 1, "item": "tea", "quantity": 2, "receipt": "sent" });
    assert_eq!(order, expected);
    for path in ["/orders/2", "/orders/tea"] {
        let (head, body) = shop.call("GET", path, "").await;
        assert_eq!(head.status(), StatusCode::NOT_FOUND, "{path}");
        assert!(body["error"].is_string(), "{path}");
    }
}

#[tokio::test]
async fn a_receipt_that_is_late_is_queued_and_a_worker_sends_it() {
    let shop = Shop::with_slow_mail(&[]).await;
    let answer = shop.order("/orders").await;
    let expected = json!({ "id": 1, "receipt": "queued" });
    assert_eq!(answer, (StatusCode::CREATED, expected));
    assert_eq!(shop.receipt(1).await, "queued");
    shop.mail.set(|mails| mails.takes = Duration::ZERO);
    shop.work_until_sent(1).await;
    assert_eq!(shop.mail.set(|mails| mails.sent["receipt-1"]), 1);
}

#[tokio::test]
async fn a_receipt_that_fails_is_queued_and_is_tried_again_until_the_mail_service_is_up() {
    let shop = Shop::open(&[]).await;
    let down = StatusCode::SERVICE_UNAVAILABLE;
    shop.mail.set(|mails| mails.answer = down);
    let (status, body) = shop.order("/orders").await;
    assert_eq!(
        (status, &body["receipt"]),
        (StatusCode::CREATED, &json!("queued"))
    );
    let mail = shop.mail.clone();
    tokio::spawn(async move {
        while mail.set(|mails| mails.attempts) < 4 {
            sleep(Duration::from_millis(20)).await;
        }
        mail.set(|mails| mails.answer = StatusCode::OK);
    });
    shop.work_until_sent(1).await;
    assert!(shop.mail.set(|mails| mails.attempts) >= 4);
}

#[tokio::test]
async fn in_the_outbox_the_intent_is_gone_once_the_receipt_was_sent() {
    let shop = Shop::open(&[]).await;
    let answer = shop.order("/orders?mode=outbox").await;
    let expected = json!({ "id": 1, "receipt": "sent" });
    assert_eq!(answer, (StatusCode::CREATED, expected));
    assert_eq!(
        (shop.jobs().await, shop.receipt(1).await),
        (0, json!("sent"))
    );
}

#[tokio::test]
async fn in_the_outbox_a_late_receipt_stays_in_the_queue_and_a_worker_sends_it() {
    let shop = Shop::with_slow_mail(&[]).await;
    let answer = shop.order("/orders?mode=outbox").await;
    let expected = json!({ "id": 1, "receipt": "queued" });
    assert_eq!(answer, (StatusCode::CREATED, expected));
    assert_eq!(shop.receipt(1).await, "queued");
    shop.mail.set(|mails| mails.takes = Duration::ZERO);
    shop.work_until_sent(1).await;
}

#[tokio::test]
async fn if_the_queue_fails_too_the_answer_is_a_failure_and_the_order_stays() {
    let shop = Shop::with_slow_mail(&[]).await;
    let Store::Sqlite(store) = &shop.store else {
        panic!("a SQLite store");
    };
    sqlx::query("ALTER TABLE Jobs RENAME TO Elsewhere")
        .execute(store.pool())
        .await
        .expect("renamed");
    let (status, body) = shop.order("/orders").await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(
        body["error"],
        "the receipt was neither sent nor queued in time"
    );
    sqlx::query("ALTER TABLE Elsewhere RENAME TO Jobs")
        .execute(store.pool())
        .await
        .expect("renamed");
    assert_eq!(shop.receipt(1).await, Value::Null);
}

#[tokio::test]
async fn without_hand_offs_a_late_receipt_is_acknowledged_and_is_nowhere() {
    let shop = Shop::with_slow_mail(&["--no-hand-off"]).await;
    let answer = shop.order("/orders").await;
    let expected = json!({ "id": 1, "receipt": null });
    assert_eq!(answer, (StatusCode::CREATED, expected));
    assert_eq!((shop.jobs().await, shop.receipt(1).await), (0, Value::Null));
}

#[tokio::test]
async fn a_store_that_is_gone_is_a_503() {
    let shop = Shop::open(&[]).await;
    shop.store.close().await;
    for path in ["/orders", "/orders?mode=outbox"] {
        let (status, body) = shop.order(path).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        let error = body["error"].as_str().expect("text");
        assert!(error.starts_with("the store cannot be used: "), "{error}");
    }
}

#[tokio::test]
async fn bad_input_is_a_422_with_a_reason() {
    let shop = Shop::open(&[]).await;
    for body in [
        "",
        "tea",
        "{}",
        r#"{"item":"tea"}"#,
        r#"{"item":"","quantity":1}"#,
        r#"{"item":"tea","quantity":0}"#,
        r#"{"item":"tea","quantity":-1}"#,
        r#"{"item":"tea","quantity":1,"price":2}"#,
    ] {
        let (head, answer) = shop.call("POST", "/orders", body).await;
        assert_eq!(head.status(), StatusCode::UNPROCESSABLE_ENTITY, "{body}");
        assert!(answer["error"].is_string(), "{body}");
    }
    let (head, answer) = shop.call("POST", "/orders", "x".repeat(3_000_000)).await;
    assert_eq!(head.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert!(answer["error"].is_string());
    let (status, _) = shop.order("/orders?mode=later").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
}
