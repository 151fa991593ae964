//! Measures what a request costs, part by part, beside the least that it could cost.
//!
//! ```sh
//! cargo bench --bench drain                # all groups, in less than five minutes
//! cargo bench --bench drain -- idle        # or those that match
//! ```
//!
//! At its end, a run also prints its results as Markdown. Everything runs in one process. Contenders are measured one
//! after another, so other work of the machine changes the figures of some. In the bench `budget` they take turns.

#[path = "../common/contender.rs"]
mod contender;
#[path = "../common/contenders.rs"]
mod contenders;
#[path = "../common/frames.rs"]
mod frames;
mod group;
mod held;
mod idle;
#[path = "../common/machine.rs"]
mod machine;
#[path = "../common/markdown.rs"]
mod markdown;
mod measured;
mod results;
mod stream;
mod streaming;
mod tasks;

use std::error::Error;
use std::time::Duration;

use criterion::Criterion;
use results::Results;

type BoxError = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), BoxError> {
    let headline = machine::headline(&[])?;
    let results = Results::from_now_on()?;
    let mut criterion = Criterion::default()
        .sample_size(30)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    idle::measure(&mut criterion);
    tasks::measure(&mut criterion);
    held::measure(&mut criterion);
    stream::measure(&mut criterion);
    criterion.final_summary();
    println!("{headline}\n\n{}", results.tables()?);
    Ok(())
}
