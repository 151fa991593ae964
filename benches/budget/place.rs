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

/// What may be done at a place.
type Work<'a> = &'a mut (dyn FnMut() + Send);

/// Does some work at a place of this number. Four in a row are all that a cache line of 64 bytes has, and
/// the next four are a page away.
pub(crate) fn visit(number: usize, work: Work<'_>) {
    let pages = number / 4;
    match number % 4 {
        0 => below::<{ STEP }>(pages, work),
        1 => below::<{ 2 * STEP }>(pages, work),
        2 => below::<{ 3 * STEP }>(pages, work),
        _ => below::<{ 4 * STEP }>(pages, work),
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
