//! The server process, as its parent sees it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use std::{env, fs};

use crate::BoxError;
use crate::app::App;

/// A running server. The drop kills it and waits for its end.
pub(crate) struct Instance {
    child: Child,
    port: u16,
}

impl Instance {
    /// Starts a server and waits until it listens.
    pub(crate) fn start(app: App) -> Result<Self, BoxError> {
        let child = Command::new(env::current_exe()?)
            .args(["--serve", &app.argument()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        // From here on the drop kills the process, whatever fails.
        let mut instance = Self { child, port: 0 };
        let stdout = instance.child.stdout.take().ok_or("it has no stdout")?;
        let mut port = String::new();
        BufReader::new(stdout).read_line(&mut port)?;
        let port = port.trim().parse();
        instance.port = port.map_err(|_| "the server ended before it listened")?;
        Ok(instance)
    }

    /// Returns how long the server has been on a processor, in user code and in the kernel.
    pub(crate) fn time_on_processor(&self) -> Result<Duration, BoxError> {
        let mut nanoseconds = 0;
        for thread in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let figures = fs::read_to_string(thread?.path().join("schedstat"))?;
            let first = figures.split(' ').next().unwrap_or_default();
            nanoseconds += first.parse::<u64>()?;
        }
        Ok(Duration::from_nanos(nanoseconds))
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // Both do nothing after a successful wait. By then the process id may belong to another process.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
