//! The client of the mail service, and a stand-in for that service.

use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use crate::Error;

/// The longest time that the worker waits for the mail service. A task of a request has its deadline.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What the mail service gets, and what is in the queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The number of the order.
    pub order: i64,
    /// What was ordered.
    pub item: String,
    /// How many of it.
    pub quantity: u32,
}

impl Receipt {
    /// Returns the key by which the mail service and the queue recognize a receipt that they have already.
    pub fn key(&self) -> String {
        format!("receipt-{}", self.order)
    }
}

/// The client of the mail service.
#[derive(Debug, Clone)]
pub struct Mailer {
    client: reqwest::Client,
    url: String,
}

impl Mailer {
    /// Creates a client for the mail service at this URL.
    ///
    /// # Errors
    ///
    /// Returns an error if the client cannot be set up.
    pub fn new(url: String) -> Result<Self, Error> {
        let client = reqwest::Client::builder().timeout(TIMEOUT).build()?;
        Ok(Self { client, url })
    }

    /// Sends a receipt. It may be sent several times, so the request has a key.
    ///
    /// # Errors
    ///
    /// Returns an error if the mail service is not reachable, or its answer is no success.
    pub async fn send(&self, receipt: &Receipt) -> Result<(), Error> {
        let request = self.client.post(&self.url).json(receipt);
        let request = request.header("idempotency-key", receipt.key());
        request.send().await?.error_for_status()?;
        Ok(())
    }
}

/// Starts a stand-in for the mail service on a free port. It takes this time for each mail. Returns its URL.
///
/// # Errors
///
/// Returns an error if no port is free.
pub async fn start_stand_in(takes: Duration) -> Result<String, Error> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/mails", listener.local_addr()?);
    let send = move || async move {
        tokio::time::sleep(takes).await;
        StatusCode::NO_CONTENT
    };
    let app: Router = Router::new().route("/mails", post(send));
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(url)
}
