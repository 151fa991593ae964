//! An allocator of constant cost, for benches that count instructions.
//!
//! With a general allocator, the same program takes up to a tenth more instructions if only the length of its path
//! changes: the state of the heap decides how the allocator searches, splits and merges. Here each allocation pops a
//! block from a list and each deallocation pushes one, whatever happened before.
//!
//! * The size of a block is a power of two. Its address is a multiple of its size.
//! * Each thread has its own lists. A block goes to the list of the thread that frees it.
//! * Memory is never returned to the system.
//! * `realloc` always copies.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ptr::{NonNull, null_mut};

/// The allocator, to be used as the `#[global_allocator]`.
#[derive(Debug, Clone, Copy, Default)]
pub struct ConstantAlloc;

/// The smallest block: as large as that of `malloc`, with room for a [`Free`].
const SMALLEST: usize = 16;

/// The largest block of a list. Larger blocks come from the system; a request needs none.
const LARGEST: usize = 1 << 16;

/// The memory that is cut into blocks at once.
const SLAB: usize = LARGEST;

/// The number of lists: one for each power of two. It is a power of two itself, so that an index can be masked.
const LISTS: usize = 32;

/// A free block.
struct Free {
    next: Option<NonNull<Free>>,
}

type List = Cell<Option<NonNull<Free>>>;

thread_local! {
    // Constant and without a destructor: so an access is one instruction.
    static LISTS_OF_THREAD: [List; LISTS] = const { [const { Cell::new(None) }; LISTS] };
}

// SAFETY: a block is as large as its layout asks for and aligned to its own size, which is at least the
// layout's alignment. It is in no list while it is allocated, and `block_size` gives the same size for the same
// layout, so that it returns to a list of its size. Nothing here panics.
unsafe impl GlobalAlloc for ConstantAlloc {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let size = block_size(layout);
        if size > LARGEST {
            // SAFETY: the caller guarantees what the system requires.
            return unsafe { System.alloc(layout) };
        }
        LISTS_OF_THREAD.with(|lists| {
            let list = &lists[index(size)];
            let Some(block) = list.get().or_else(|| slab(size)) else {
                return null_mut();
            };
            // SAFETY: a list contains free blocks, and each begins with a `Free`.
            list.set(unsafe { block.read() }.next);
            block.as_ptr().cast()
        })
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let size = block_size(layout);
        if size > LARGEST {
            // SAFETY: the block came from the system, because its layout is the one it was allocated with.
            return unsafe { System.dealloc(block, layout) };
        }
        LISTS_OF_THREAD.with(|lists| {
            let list = &lists[index(size)];
            // SAFETY: an allocated block is not null.
            let block = unsafe { NonNull::new_unchecked(block.cast::<Free>()) };
            // SAFETY: the caller no longer uses the block, which has room for a `Free` and is aligned for it.
            unsafe { block.write(Free { next: list.get() }) };
            list.set(Some(block));
        });
    }
}

#[inline]
fn block_size(layout: Layout) -> usize {
    let size = layout.size().max(layout.align()).max(SMALLEST);
    // A size is at most `isize::MAX`, so the shift does not overflow.
    1 << (usize::BITS - (size - 1).leading_zeros())
}

#[inline]
fn index(size: usize) -> usize {
    size.trailing_zeros() as usize % LISTS
}

/// Cuts a slab from the system into a list of free blocks. Returns `None` if there is no memory left.
#[cold]
fn slab(size: usize) -> Option<NonNull<Free>> {
    let layout = Layout::from_size_align(SLAB, size).ok()?;
    // SAFETY: the size is not zero.
    let slab = NonNull::new(unsafe { System.alloc(layout) })?;
    let mut next = None;
    for offset in (0..SLAB).step_by(size).rev() {
        // SAFETY: the offset is within the slab.
        let block = unsafe { slab.add(offset) }.cast::<Free>();
        // SAFETY: the slab is new, a block has room for a `Free`, and its address is a multiple of its size.
        unsafe { block.write(Free { next }) };
        next = Some(block);
    }
    next
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).expect("a valid layout")
    }

    fn allocated(layout: Layout) -> *mut u8 {
        // SAFETY: no test uses a size of zero.
        let block = unsafe { ConstantAlloc.alloc(layout) };
        assert!(!block.is_null(), "there is memory");
        assert_eq!(block as usize % layout.align(), 0, "it is aligned");
        // SAFETY: the block is at least as large as its layout.
        unsafe { block.write_bytes(0xA5, layout.size()) };
        block
    }

    fn freed(block: *mut u8, layout: Layout) {
        // SAFETY: each test frees a block once, with the layout it was allocated with.
        unsafe { ConstantAlloc.dealloc(block, layout) };
    }

    #[test]
    fn a_block_is_allocated_again_after_it_was_freed() {
        let layout = layout(200, 8);
        let first = allocated(layout);
        freed(first, layout);
        let second = allocated(layout);
        assert_eq!(first, second);
        freed(second, layout);
    }

    #[test]
    fn blocks_in_use_do_not_overlap() {
        for (size, align) in [
            (1, 1),
            (16, 16),
            (17, 8),
            (256, 128),
            (24, 4096),
            (LARGEST, 8),
        ] {
            let layout = layout(size, align);
            let mut blocks =
                Vec::from_iter((0..SLAB / size.max(512) + 2).map(|_| allocated(layout)));
            blocks.sort_unstable();
            for pair in blocks.windows(2) {
                assert!(pair[1] as usize - pair[0] as usize >= size, "{layout:?}");
            }
            for block in blocks {
                freed(block, layout);
            }
        }
    }

    #[test]
    fn a_block_too_large_for_a_list_comes_from_the_system() {
        let layout = layout(LARGEST + 1, 8);
        freed(allocated(layout), layout);
    }
}
