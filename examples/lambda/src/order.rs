//! An order, and the work behind it.

use std::path::PathBuf;
use std::time::Duration;
use std::{env, io};

use serde::Deserialize;
use tokio::{fs, time};

/// An order, as a query or as the body of a message.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Order {
    /// Its number.
    pub id: u32,
    /// For how long it is worked on, in milliseconds.
    #[serde(default)]
    pub takes: u64,
    /// The work ends in an error.
    #[serde(default)]
    pub fails: bool,
    /// The handler panics when the work has begun.
    #[serde(default)]
    pub panics: bool,
}

impl Order {
    /// The work: a while later, a file that is named by the order's number, and a line in the log.
    ///
    /// # Errors
    ///
    /// When the order is one that fails, or the file cannot be written.
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

/// The only place where a Lambda function may write is `/tmp`.
fn folder() -> PathBuf {
    env::var_os("ORDERS").map_or_else(|| "/tmp/orders".into(), PathBuf::from)
}
