//! An order, as the client and the server use it.

use std::path::{Path, PathBuf};
use std::{fs, io};

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

    /// Returns whether the work of the order is done.
    pub(super) fn is_recorded(self, records: &Path) -> bool {
        fs::read_to_string(self.record_in(records)).is_ok_and(|record| record == self.path())
    }

    fn record_in(self, records: &Path) -> PathBuf {
        records.join(self.0.to_string())
    }
}
