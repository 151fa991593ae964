//! Plays the seeds and inputs of random bytes, without a fuzzer.

use std::fs;
use std::path::Path;

use tower_task_tracker_fuzz::{deadlines, replay, requests};

/// So many inputs take a second or two.
const INPUTS: u64 = 5_000;

#[test]
fn no_request_breaks_a_guarantee() {
    each_random_input(|input| replay(requests::play, input));
}

#[test]
fn no_deadline_breaks_a_guarantee() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds/deadlines");
    let mut seeds: Vec<_> = fs::read_dir(seeds)
        .expect("the seeds")
        .map(|seed| fs::read(seed.expect("a seed").path()).expect("a file"))
        .collect();
    seeds.sort();
    assert!(!seeds.is_empty());
    for seed in &seeds {
        replay(deadlines::play, seed);
    }
    each_random_input(|settings| {
        for seed in &seeds {
            let input = [seed, &b"\n\n"[..], settings].concat();
            replay(deadlines::play, &input);
        }
    });
}

fn each_random_input(mut play: impl FnMut(&[u8])) {
    // An xorshift generator: the same inputs each time.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for _ in 0..INPUTS {
        let length = random() % 128;
        // Of their middle: the lowest bits are the least random.
        let input: Vec<_> = (0..length).map(|_| (random() >> 24) as u8).collect();
        play(&input);
    }
}
