//! Installs measuring programs from Debian's packages.

use std::io::ErrorKind;
use std::process::{Command, Stdio};

use crate::BoxError;

/// Installs a package, unless a program with its name exists.
pub(crate) fn ensure(name: &str) -> Result<(), BoxError> {
    match quiet(name).arg("--version").status() {
        Err(error) if error.kind() == ErrorKind::NotFound => install(name),
        Err(error) => Err(error.into()),
        Ok(_) => Ok(()),
    }
}

fn install(name: &str) -> Result<(), BoxError> {
    eprintln!("{name} is missing: apt-get installs it");
    for arguments in [&["update"][..], &["install", "-y", name]] {
        let status = quiet("apt-get").args(arguments).status()?;
        if !status.success() {
            return Err(format!("apt-get {}: {status}", arguments.join(" ")).into());
        }
    }
    Ok(())
}

/// Returns a command that prints nothing to stdout, which is for the tables.
fn quiet(program: &str) -> Command {
    let mut command = Command::new(program);
    command.stdout(Stdio::null());
    command
}
