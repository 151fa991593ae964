//! Real processes are frozen as by Lambda. The work of every acknowledged order is on disk.

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
