//! Tests the `Dockerfile` without a container. Its build command runs in a copy of the build context, and the program
//! that would be in the image is started as the image would start it.

mod client;
mod container;
mod dockerfile;
mod image;
mod orders;
mod settings;
mod sigterm;

use std::time::Duration;

/// More than any step except the build takes, even on a busy machine.
const LIMIT: Duration = Duration::from_secs(30);
