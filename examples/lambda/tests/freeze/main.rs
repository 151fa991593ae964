//! Lambda's freeze, done to real processes: what is acknowledged has its work on disk.

mod answer;
mod deadlines;
mod event;
mod failures;
mod form;
mod image;
mod instance;
mod limit;
mod loss;

mod streams;
mod stub;
mod thaw;
