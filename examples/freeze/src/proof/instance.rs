//! The instance, as its parent process sees it.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::{env, io};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use tokio::task::spawn_blocking;

use super::server::ARGUMENT;
use super::{BoxError, Setup};

/// A running instance. The drop kills it, stopped or not, and waits for its end.
#[derive(Debug)]
pub(super) struct Instance {
    child: Child,
    address: SocketAddr,
}

impl Instance {
    /// Starts an instance and waits until it listens.
    pub(super) async fn start(records: &Path, setup: Setup) -> Result<Self, BoxError> {
        let child = Command::new(env::current_exe()?)
            .arg(ARGUMENT)
            .arg(records)
            .arg(setup.argument())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        // From here on the drop kills the process, also if this future is dropped.
        let mut instance = Self {
            child,
            address: (Ipv4Addr::LOCALHOST, 0).into(),
        };
        let stdout = instance.child.stdout.take().ok_or("it has no stdout")?;
        let port = spawn_blocking(|| -> io::Result<String> {
            let mut line = String::new();
            BufReader::new(stdout).read_line(&mut line)?;
            Ok(line)
        });
        let port = port.await??;
        let port = port.trim().parse();
        instance
            .address
            .set_port(port.map_err(|_| "the instance ended before it listened")?);
        Ok(instance)
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops the instance with SIGSTOP, which it can neither ignore nor delay.
    pub(super) fn stop(&self) -> io::Result<()> {
        Ok(kill_process(Pid::from_child(&self.child), Signal::STOP)?)
    }

    /// Waits until the instance is stopped.
    pub(super) async fn stopped(&self) -> Result<(), BoxError> {
        let pid = Pid::from_child(&self.child);
        // Also returns if the process has ended, and leaves its exit status to a later wait.
        let events = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        let status = spawn_blocking(move || waitid(WaitId::Pid(pid), events)).await??;
        match status {
            Some(status) if status.stopping_signal() == Some(Signal::STOP.as_raw()) => Ok(()),
            other => Err(format!("the instance was not stopped: {other:?}").into()),
        }
    }

    /// Kills the instance while it is stopped, and waits for its end.
    pub(super) fn kill(mut self) -> Result<(), BoxError> {
        self.child.kill()?;
        let status = self.child.wait()?;
        match status.signal() {
            Some(signal) if signal == Signal::KILL.as_raw() => Ok(()),
            _ => Err(format!("the instance was not killed: {status}").into()),
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // Both do nothing after a successful wait. By then the process id may belong to another process.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
