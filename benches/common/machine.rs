//! The machine that measures.

use std::fs;
use std::process::Command;
use std::thread::available_parallelism;

use crate::BoxError;

/// Returns the number of cores.
pub(crate) fn cores() -> Result<usize, BoxError> {
    Ok(available_parallelism()?.get())
}

/// Returns the line above a table: the machine, the versions, the load before the measurement and the date.
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

/// Runs a program and returns its first line of output, also if the program fails.
pub(crate) fn first_line(command: &mut Command) -> Result<String, BoxError> {
    let output = command.output()?;
    let printed = String::from_utf8(output.stdout)?;
    Ok(printed.lines().next().unwrap_or_default().to_owned())
}
