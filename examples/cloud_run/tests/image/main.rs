//! What the `Dockerfile` makes, without a container: its build command runs in a copy of the build
//! context, and what it would put into the image is started as the image would start it.

mod client;
mod container;
mod dockerfile;
mod image;
mod orders;
mod settings;
mod sigterm;

use std::time::Duration;

/// More than anything here takes but the build, however busy the machine is.
const LIMIT: Duration = Duration::from_secs(30);
