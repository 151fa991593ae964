//! What both sides know of an order.

use std::path::{Path, PathBuf};
use std::{fs, io};

/// An order, known by its number.
#[derive(Debug, Clone, Copy)]
pub(super) struct Order(pub(super) u32);

impl Order {
    /// The order that a request's path names.
    pub(super) fn from_path(path: &str) -> Option<Self> {
        path.strip_prefix("/orders/")?.parse().ok().map(Self)
    }

    /// The path it is sent to.
    pub(super) fn path(self) -> String {
        format!("/orders/{}", self.0)
    }

    /// The body of its answer.
    pub(super) fn receipt(self) -> [String; 2] {
        [format!("order {} ", self.0), "is taken\n".to_owned()]
    }

    /// Does its work: a record.
    ///
    /// A plain write is enough. What the kernel has taken outlives the process, however that ends;
    /// only a machine that ends would need it synced.
    pub(super) fn record(self, records: &Path) -> io::Result<()> {
        fs::write(self.record_in(records), self.path())
    }

    /// Whether its work is done.
    pub(super) fn is_recorded(self, records: &Path) -> bool {
        fs::read_to_string(self.record_in(records)).is_ok_and(|record| record == self.path())
    }

    fn record_in(self, records: &Path) -> PathBuf {
        records.join(self.0.to_string())
    }
}
