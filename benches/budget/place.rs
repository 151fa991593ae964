//! Places on the stack.
//!
//! Where a program's stack starts changes from run to run, and with it which values lie across two cache
//! lines, and which share a place in a cache with those on the heap. From its first request to its last
//! the same code may take a fifth more or less. So many places are tried in each run. They are those of
//! threads: the stack of a thread starts at a page.

use std::hint::black_box;

/// What compilers align frames to.
const STEP: usize = 16;

const PAGE: usize = 4096;

/// One of each that there can be within a cache line of 64 bytes.
pub(crate) const ALL: [Place; 4] = [
    Place(below::<{ STEP }>),
    Place(below::<{ 2 * STEP }>),
    Place(below::<{ 3 * STEP }>),
    Place(below::<{ 4 * STEP }>),
];

#[derive(Debug, Clone, Copy)]
pub(crate) struct Place(fn(usize, Work<'_>));

/// What is done at a place.
type Work<'a> = &'a mut (dyn FnMut() + Send);

impl Place {
    /// Does some work there, so many pages from where the stack starts, or a little more.
    pub(crate) fn visit(self, pages: usize, work: Work<'_>) {
        self.0(pages, work);
    }
}

#[inline(never)]
fn below<const BYTES: usize>(pages: usize, work: Work<'_>) {
    let room = [0_u8; BYTES];
    black_box(&room);
    deeper(pages, work);
    // It is still there.
    black_box(&room);
}

#[inline(never)]
fn deeper(pages: usize, work: Work<'_>) {
    if pages == 0 {
        return work();
    }
    let room = [0_u8; PAGE];
    black_box(&room);
    deeper(pages - 1, work);
    black_box(&room);
}
