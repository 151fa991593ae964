//! Runs this program under callgrind.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::{env, thread};

use crate::callgrind::{self, Requests};
use crate::{BoxError, machine};

const REQUESTS: Requests = Requests {
    few: 200,
    many: 1_200,
};

/// The instructions of one request, for each contender.
#[derive(Debug)]
pub(crate) struct Count(BTreeMap<&'static str, f64>);

impl Count {
    /// Counts each contender once, on all cores: other work of the machine changes no count.
    pub(crate) fn of(contenders: impl IntoIterator<Item = &'static str>) -> Result<Self, BoxError> {
        let mut left = Vec::from_iter(contenders);
        left.sort_unstable();
        left.dedup();
        let left = Mutex::new(left);
        let next = || left.lock().expect("no counter panics").pop();
        let count_some = || {
            let mut counted = Vec::new();
            while let Some(contender) = next() {
                let run = |requests| serve(contender, requests, Path::new("/dev/null"));
                counted.push((contender, REQUESTS.instructions_of_one(run)?));
            }
            Ok::<_, BoxError>(counted)
        };
        let cores = machine::cores()?;
        thread::scope(|scope| {
            let counters = Vec::from_iter((0..cores).map(|_| scope.spawn(count_some)));
            let mut all = BTreeMap::new();
            for counter in counters {
                all.extend(counter.join().expect("no counter panics")?);
            }
            Ok(Self(all))
        })
    }

    /// Returns the instructions of one request of a contender.
    ///
    /// # Panics
    ///
    /// If the contender was not counted.
    pub(crate) fn get(&self, contender: &str) -> f64 {
        self.0[contender]
    }
}

/// Writes a profile and returns the number of requests in it.
pub(crate) fn profile(contender: &str, file: &Path) -> Result<u32, BoxError> {
    callgrind::collected(&mut serve(contender, REQUESTS.many, file)?)?;
    Ok(REQUESTS.many)
}

/// Returns the command that starts this program. Two things keep the figures the same in every checkout:
///
/// * The path of the program is relative and always has the same length, because its name ends in a hash of cargo's.
/// * The environment contains nothing but `PATH`, which is needed to find valgrind.
fn serve(contender: &str, requests: u32, profile: &Path) -> Result<Command, BoxError> {
    let program = env::current_exe()?;
    let (Some(folder), Some(name)) = (program.parent(), program.file_name()) else {
        return Err(format!("{} has no folder", program.display()).into());
    };
    let path = env::var_os("PATH").unwrap_or_default();
    let mut command = callgrind::command(profile);
    command
        .current_dir(folder)
        .env_clear()
        .env("PATH", path)
        .arg(PathBuf::from(".").join(name))
        .args(["serve", contender, &requests.to_string()]);
    Ok(command)
}
