//! An order and its work.

use std::path::PathBuf;
use std::time::Duration;
use std::{env, io};

use serde::Deserialize;
use tokio::{fs, time};

/// An order, from a query or from the body of a message.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Order {
    /// The number of the order.
    pub id: u32,
    /// The duration of the work, in milliseconds.
    #[serde(default)]
    pub takes: u64,
    /// Whether the work ends in an error.
    #[serde(default)]
    pub fails: bool,
    /// Whether the handler panics after it has started the work.
    #[serde(default)]
    pub panics: bool,
}

impl Order {
    /// Does the work: waits, and then writes a file named after the order's number, and a line to the log.
    ///
    /// # Errors
    ///
    /// If `fails` is set, or if the file cannot be written.
    pub async fn work(self) -> io::Result<()> {
        time::sleep(Duration::from_millis(self.takes)).await;
        if self.fails {
            return Err(io::Error::other(format!("order {} has failed", self.id)));
        }
        let folder = folder();
        fs::create_dir_all(&folder).await?;
        fs::write(folder.join(self.id.to_string()), "written").await?;
        println!("order {} is written", self.id);
        Ok(())
    }
}

/// Returns the folder for the files, below `/tmp` by default: a Lambda function may write nowhere else.
fn folder() -> PathBuf {
    env::var_os("ORDERS").map_or_else(|| "/tmp/orders".into(), PathBuf::from)
}
