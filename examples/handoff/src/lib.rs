//! A shop whose receipts are sent by a slow mail service, and never lost once the order was acknowledged.
//!
//! A receipt is sent by a task of its request, and the response waits for it. If the mail service is too slow, the task
//! is handed off: the receipt goes into a durable queue before the response ends, and a worker sends it later.
//!
//! | module | content |
//! |---|---|
//! | `args` | the command line |
//! | `shop` | the HTTP service: `POST /orders` and `GET /orders/{id}` |
//! | `mail` | the client of the mail service, and a stand-in for that service |
//! | `store` | the orders and the queue, both in SQLite or both in PostgreSQL |
//! | `worker` | sends the receipts that are in the queue |

pub mod args;
pub mod mail;
pub mod shop;
pub mod store;
pub mod worker;

/// Any error: each is only printed, or is the text of an answer.
pub type Error = Box<dyn std::error::Error + Send + Sync>;
