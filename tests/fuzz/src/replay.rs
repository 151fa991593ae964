//! Plays inputs without a fuzzer.

use std::path::Path;

use arbitrary::{Arbitrary, Unstructured};

/// Plays one input, as the fuzzer does.
///
/// # Panics
///
/// If a guarantee does not hold.
pub fn replay<P>(play: fn(&P), input: &[u8])
where
    P: for<'a> Arbitrary<'a>,
{
    if let Ok(plan) = P::arbitrary_take_rest(Unstructured::new(input)) {
        play(&plan);
    }
}

/// Plays the inputs that the command line names.
///
/// # Panics
///
/// If one of them cannot be read, or a guarantee does not hold.
pub fn replay_arguments<P>(play: fn(&P))
where
    P: for<'a> Arbitrary<'a> + std::fmt::Debug,
{
    for path in std::env::args_os().skip(1) {
        let input = std::fs::read(&path).expect("a file to read");
        if let Ok(plan) = P::arbitrary_take_rest(Unstructured::new(&input)) {
            println!("{}: {plan:#?}", Path::new(&path).display());
            play(&plan);
        }
    }
}
