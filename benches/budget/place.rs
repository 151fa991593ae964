//! Places on the stack.
//!
//! The address at which a program's stack starts changes from run to run. It decides which values cross a cache line
//! and which values collide in a cache with values on the heap. The same code may take a fifth more or less, for a
//! whole run. So each run tries many places. It uses the stacks of threads, because the stack of a thread starts at a
//! page.

use std::hint::black_box;

/// The alignment of stack frames.
const STEP: usize = 16;

const PAGE: usize = 4096;

/// All places that a frame can have within a cache line of 64 bytes.
pub(crate) const ALL: [Place; 4] = [
    Place(below::<{ STEP }>),
    Place(below::<{ 2 * STEP }>),
    Place(below::<{ 3 * STEP }>),
    Place(below::<{ 4 * STEP }>),
];

#[derive(Debug, Clone, Copy)]
pub(crate) struct Place(fn(usize, Work<'_>));

/// The work that runs at a place.
type Work<'a> = &'a mut (dyn FnMut() + Send);

impl Place {
    /// Runs the work at this place, at least `pages` pages from the start of the stack.
    pub(crate) fn visit(self, pages: usize, work: Work<'_>) {
        self.0(pages, work);
    }
}

#[inline(never)]
fn below<const BYTES: usize>(pages: usize, work: Work<'_>) {
    let room = [0_u8; BYTES];
    black_box(&room);
    deeper(pages, work);
    // Keeps `room` on the stack until here.
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
