//! An order, as the client and the server use it.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// An order, identified by its number.
#[derive(Debug, Clone, Copy)]
pub(super) struct Order(pub(super) u32);

impl Order {
    /// Returns the order that the path of a request names.
    pub(super) fn from_path(path: &str) -> Option<Self> {
        path.strip_prefix("/orders/")?.parse().ok().map(Self)
    }

    /// Returns the path of the order's request.
    pub(super) fn path(self) -> String {
        format!("/orders/{}", self.0)
    }

    /// Returns the body of the answer, in two parts.
    pub(super) fn receipt(self) -> [String; 2] {
        [format!("order {} ", self.0), "is taken\n".to_owned()]
    }

    /// Does the work of the order: writes a record.
    ///
    /// A plain write is enough. Data that the kernel has accepted outlives the process, however the process ends. A
    /// sync would matter only if the machine could fail.
    pub(super) fn record(self, records: &Path) -> io::Result<()> {
        fs::write(self.record_in(records), self.path())
    }

    /// Puts the work of the order into a queue: a file that another process reads.
    ///
    /// The file is synced, as a queue has to do it: this is what makes a hand-off outlive the machine, too.
    pub(super) fn enqueue(self, records: &Path) -> io::Result<()> {
        let mut file = File::create(self.queued_in(records))?;
        file.write_all(self.path().as_bytes())?;
        file.sync_all()
    }

    /// Returns whether the work of the order is done, or in the queue.
    pub(super) fn is_kept(self, records: &Path) -> bool {
        let is_there =
            |path| fs::read_to_string(path).is_ok_and(|record: String| record == self.path());
        is_there(self.record_in(records)) || is_there(self.queued_in(records))
    }

    fn queued_in(self, records: &Path) -> PathBuf {
        records.join(format!("queued-{}", self.0))
    }

    fn record_in(self, records: &Path) -> PathBuf {
        records.join(self.0.to_string())
    }
}
