//! The mail service.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum::{Json, Router};
use handoff::mail::Receipt;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

/// A mail service that takes as many milliseconds as the quantity of the order.
#[derive(Debug, Clone)]
pub(crate) struct MailService {
    url: String,
    records: Arc<Mutex<Records>>,
    sends_at_once: Arc<AtomicBool>,
    /// Notified when a caller has left.
    has_left: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Records {
    /// How often each receipt was sent, by the item of its order.
    sent: HashMap<String, usize>,
    /// The items of the orders whose caller has left before the mail was sent.
    left: HashSet<String>,
}

/// Notes that a caller has left.
struct Sending<'a> {
    mail: &'a MailService,
    item: &'a str,
    is_sent: bool,
}

impl MailService {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it has one");
        let mail = Self {
            url: format!("http://{address}/mails"),
            records: Arc::default(),
            sends_at_once: Arc::default(),
            has_left: Arc::default(),
        };
        let app: Router = Router::new()
            .route("/mails", post(Self::send))
            .with_state(mail.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        mail
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// From now on a mail takes no time.
    pub(crate) fn send_at_once(&self) {
        self.sends_at_once.store(true, Ordering::SeqCst);
    }

    /// How often the receipt of this item was sent.
    pub(crate) fn sent(&self, item: &str) -> usize {
        let records = self.records.lock().expect("no panic holds this lock");
        records.sent.get(item).copied().unwrap_or(0)
    }

    /// Whether the caller has left before the mail for this item was sent.
    pub(crate) fn was_left(&self, item: &str) -> bool {
        let records = self.records.lock().expect("no panic holds this lock");
        records.left.contains(item)
    }

    /// Waits until the next caller leaves, but not for long.
    pub(crate) async fn next_leaves(&self) {
        let _ = timeout(Duration::from_millis(500), self.has_left.notified()).await;
    }

    async fn send(
        State(mail): State<Self>,
        headers: HeaderMap,
        Json(receipt): Json<Receipt>,
    ) -> StatusCode {
        if headers
            .get("idempotency-key")
            .is_none_or(|key| key != receipt.key().as_str())
        {
            return StatusCode::BAD_REQUEST;
        }
        let mut sending = Sending {
            mail: &mail,
            item: &receipt.item,
            is_sent: false,
        };
        if !mail.sends_at_once.load(Ordering::SeqCst) {
            sleep(Duration::from_millis(u64::from(receipt.quantity))).await;
        }
        sending.is_sent = true;
        StatusCode::NO_CONTENT
    }
}

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        let mut records = self.mail.records.lock().expect("no panic holds this lock");
        let item = self.item.to_owned();
        if self.is_sent {
            *records.sent.entry(item).or_default() += 1;
        } else {
            records.left.insert(item);
            self.mail.has_left.notify_waiters();
        }
    }
}
