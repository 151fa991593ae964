//! What was measured where.

use std::fs;
use std::process::Command;
use std::thread::available_parallelism;

use crate::BoxError;

/// How many cores there are.
pub(crate) fn cores() -> Result<usize, BoxError> {
    Ok(available_parallelism()?.get())
}

/// The line above a table: where and when it is made, with what, and how busy the machine is before.
pub(crate) fn headline(more: &[String]) -> Result<String, BoxError> {
    let processors = fs::read_to_string("/proc/cpuinfo")?;
    let model = processors
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown processor", |(_, model)| model);
    let mut parts = vec![
        format!("{model}, {} cores", cores()?),
        first_line(Command::new("rustc").arg("--version"))?,
    ];
    parts.extend_from_slice(more);
    let averages = fs::read_to_string("/proc/loadavg")?;
    let last_minute = averages.split(' ').next().unwrap_or_default();
    parts.push(format!("load average {last_minute} before"));
    parts.push(first_line(Command::new("date").arg("+%F"))?);
    Ok(parts.join("; "))
}

/// What a program says first, whatever it makes of it.
pub(crate) fn first_line(command: &mut Command) -> Result<String, BoxError> {
    let output = command.output()?;
    let said = String::from_utf8(output.stdout)?;
    Ok(said.lines().next().unwrap_or_default().to_owned())
}
