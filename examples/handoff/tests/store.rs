//! The store by itself: what is written is on the disk, and its errors are clear.

use std::path::Path;
use std::time::Duration;

use handoff::mail::Receipt;
use handoff::store::{NewOrder, Order, QUEUE, ReceiptState, SqliteStore, Store};
use sqlx::sqlite::SqliteConnectOptions;

fn url(folder: &Path) -> String {
    format!("sqlite://{}", folder.join("shop.db").display())
}

fn tea() -> NewOrder {
    NewOrder {
        item: "tea".to_owned(),
        quantity: 2,
    }
}

fn receipt(order: i64) -> Receipt {
    tea().receipt(order)
}

async fn jobs(store: &Store) -> i64 {
    let Store::Sqlite(store) = store else {
        panic!("a SQLite store");
    };
    let count = sqlx::query_scalar("SELECT count(*) FROM Jobs WHERE job_type = ?");
    let count = count.bind(QUEUE).fetch_one(store.pool()).await;
    count.expect("the table is there")
}

#[tokio::test]
async fn each_connection_to_sqlite_syncs_what_it_writes() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = SqliteStore::open(&url(folder.path())).await;
    let store = store.expect("a new file");
    let pool = store.pool();
    let mut connections = Vec::new();
    for _ in 0..pool.options().get_max_connections() {
        connections.push(pool.acquire().await.expect("a free connection"));
    }
    assert!(connections.len() > 1);
    for connection in &mut connections {
        let synchronous: i64 = sqlx::query_scalar("PRAGMA synchronous")
            .fetch_one(&mut **connection)
            .await
            .expect("a number");
        assert_eq!(synchronous, 2, "FULL");
    }
}

#[tokio::test]
async fn a_receipt_is_in_the_queue_once_however_often_it_is_pushed() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(&url(folder.path())).await.expect("a new file");
    let id = store.place(&tea()).await.expect("stored");
    assert_eq!(
        store.find(id).await.expect("found").expect("one").receipt,
        None
    );
    for _ in 0..3 {
        store.push(&receipt(id)).await.expect("queued");
    }
    assert_eq!(jobs(&store).await, 1);
    let order = Order {
        id,
        item: "tea".to_owned(),
        quantity: 2,
        receipt: Some(ReceiptState::Queued),
    };
    assert_eq!(store.find(id).await.expect("found"), Some(order));
}

#[tokio::test]
async fn an_intent_is_in_the_queue_until_it_is_settled() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(&url(folder.path())).await.expect("a new file");
    let lease = Duration::from_secs(60);
    let id = store.place_with_intent(&tea(), lease).await;
    let id = id.expect("stored");
    assert_eq!(jobs(&store).await, 1);
    store.settle_intent(&receipt(id)).await.expect("settled");
    assert_eq!(jobs(&store).await, 0);
    let order = store.find(id).await.expect("found").expect("one");
    assert_eq!(order.receipt, Some(ReceiptState::Sent));
}

#[tokio::test]
async fn a_full_disk_is_a_clear_error_and_what_was_stored_stays() {
    let folder = tempfile::tempdir().expect("a folder");
    let options = SqliteConnectOptions::new()
        .filename(folder.path().join("shop.db"))
        .create_if_missing(true);
    drop(SqliteStore::open_with(options.clone()).await.expect("new"));
    let store = SqliteStore::open_with(options.pragma("max_page_count", "60")).await;
    let store = Store::Sqlite(store.expect("it has room"));
    let mut stored = 0;
    let error = loop {
        let order = NewOrder {
            item: "t".repeat(100),
            quantity: 1,
        };
        match store.place(&order).await {
            Ok(id) => stored = id,
            Err(error) => break error.to_string(),
        }
    };
    assert!(error.contains("full"), "{error}");
    assert!(stored > 0);
    assert!(store.find(stored).await.expect("readable").is_some());
}

#[tokio::test]
async fn a_file_that_cannot_be_written_is_a_clear_error_at_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let url = url(folder.path());
    let store = Store::open(&url).await.expect("a new file");
    store.close().await;
    let read_only = Store::open(&format!("{url}?mode=ro")).await;
    let error = read_only.expect_err("it cannot be written").to_string();
    assert!(
        error.starts_with("cannot open the store sqlite://"),
        "{error}"
    );
    assert!(error.contains("readonly"), "{error}");
}

#[tokio::test]
async fn a_store_of_another_kind_and_one_that_is_not_there_are_clear_errors() {
    for (url, why) in [
        ("mysql://localhost", "begins neither with"),
        (
            "sqlite:///no/such/folder/shop.db",
            "unable to open database file",
        ),
        ("postgres://postgres@127.0.0.1:1/shop", "refused"),
    ] {
        let error = Store::open(url).await.expect_err("not there").to_string();
        assert!(error.contains(why), "{url}: {error}");
    }
}
