//! Places orders, and keeps what was answered.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastrand::Rng;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::DRAIN;
use crate::mail::MailService;

/// All clients of a run.
#[derive(Debug, Clone)]
pub(crate) struct Clients {
    draws: Arc<Mutex<Rng>>,
    answers: Arc<Mutex<Answers>>,
}

/// The answers to all orders, by the items, each of which is ordered once.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    ordered: usize,
    /// The receipts of the acknowledged orders: `sent`, `queued`, or neither.
    pub(crate) acknowledged: HashMap<String, Option<String>>,
    /// How many orders were answered with another status.
    pub(crate) refused: usize,
}

/// Clients of one program. They end when it does.
#[derive(Debug)]
pub(crate) struct Load {
    clients: JoinSet<()>,
    /// The items that are ordered and not answered.
    open: Arc<Mutex<HashSet<String>>>,
}

impl Clients {
    pub(crate) fn new(draws: Rng) -> Self {
        Self {
            draws: Arc::new(Mutex::new(draws)),
            answers: Arc::default(),
        }
    }

    pub(crate) fn answers<T>(&self, read: impl FnOnce(&Answers) -> T) -> T {
        read(&self.answers.lock().expect("no panic holds this lock"))
    }

    /// Starts so many clients, each with a connection of its own.
    pub(crate) fn start(&self, url: &str, connections: usize) -> Load {
        let mut clients = JoinSet::new();
        let open = Arc::default();
        for _ in 0..connections {
            let (all, open, url) = (self.clone(), Arc::clone(&open), format!("{url}/orders"));
            // It has one order in flight, so it keeps one connection.
            let client = client();
            clients.spawn(async move { while all.order(&client, &url, &open).await {} });
        }
        Load { clients, open }
    }

    /// Places an order. Returns false if the program is gone.
    async fn order(
        &self,
        client: &reqwest::Client,
        url: &str,
        open: &Mutex<HashSet<String>>,
    ) -> bool {
        let item = {
            let mut answers = self.answers.lock().expect("no panic holds this lock");
            answers.ordered += 1;
            format!("item {}", answers.ordered)
        };
        let order = json!({ "item": item, "quantity": self.mail_takes().as_millis().max(1) });
        let locked = || open.lock().expect("no panic holds this lock");
        locked().insert(item.clone());
        let answer = client.post(url).json(&order).send().await;
        let answer = match answer {
            Ok(response) if response.status() == 201 => response.json::<Value>().await.map(Some),
            Ok(_) => Ok(None),
            Err(error) => Err(error),
        };
        let Ok(answer) = answer else {
            return false;
        };
        let is_acknowledged = answer.is_some();
        {
            let mut answers = self.answers.lock().expect("no panic holds this lock");
            match answer {
                Some(answer) => {
                    let receipt = answer["receipt"].as_str().map(str::to_owned);
                    answers.acknowledged.insert(item.clone(), receipt);
                }
                None => answers.refused += 1,
            }
        }
        locked().remove(&item);
        if !is_acknowledged {
            // The store is not there. An order in a loop would only load the machine.
            sleep(Duration::from_millis(50)).await;
        }
        true
    }

    /// Between no time and three drain timeouts. Two of ten are short, so that enough receipts are sent in time.
    fn mail_takes(&self) -> Duration {
        let mut draws = self.draws.lock().expect("no panic holds this lock");
        let drain = DRAIN.as_millis() as u64;
        let longest = if draws.u8(..10) < 2 {
            drain / 2
        } else {
            3 * drain
        };
        Duration::from_millis(draws.u64(..=longest))
    }
}

fn client() -> reqwest::Client {
    reqwest::Client::builder()
        .timeout(Duration::from_secs(30))
        .build()
        .expect("a client")
}

impl Load {
    /// Whether an order is in its hand-off: its task was stopped (it has left the mail service), and the order is not
    /// answered.
    pub(crate) fn is_in_hand_off(&self, mail: &MailService) -> bool {
        let open = self.open.lock().expect("no panic holds this lock");
        open.iter()
            .any(|item| mail.was_left(item) && mail.sent(item) == 0)
    }

    /// Waits for the clients of a program that was killed.
    pub(crate) async fn join(self) {
        self.clients.join_all().await;
    }
}
