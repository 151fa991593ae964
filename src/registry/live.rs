//! How many tasks of a request are alive, and whether it was released: one atomic word.

use std::sync::PoisonError;
use std::task::{Context, Poll, Waker};

use super::sync::{AtomicU32, AtomicU64, Mutex, Ordering};

/// Set once, when the response is let go: whoever adds a task after that knows it is late.
const RELEASED: u64 = 1;
/// Set when somebody waits for the count to reach zero: only then has the last task to wake.
const WAITED: u64 = 1 << 1;
/// Set when code of the request waits for its process: each end is announced then.
const ATTENDED: u64 = 1 << 2;
/// One task alive. 29 bits: with what tokio and the ledger keep of a task, memory ends first.
const ALIVE: u64 = 1 << 3;
/// One task ever added. It has the top bits, so that a wrap-around falls out of the word.
const SPAWNED: u64 = 1 << 32;

/// The alive count and the released flag of one request, in one word, so that a spawn and the
/// release always agree on who came first.
///
/// 1. A task is added by one addition, which also tells whether the release came before.
/// 2. The release is one compare-and-swap from "none alive"; at a deadline, one `fetch_or`.
/// 3. The waiter stores its waker *before* it sets `WAITED`, and looks at the count *in* that same
///    operation. The last task looks at `WAITED` in the operation that makes the count zero. Both
///    are read-modify-writes of one word, so one of them sees the other: no wake-up is lost.
#[derive(Debug)]
pub(crate) struct Live {
    word: AtomicU64,
    /// The id of the task whose end made the count zero; meaningful while it is zero.
    last: AtomicU32,
    waker: Mutex<Option<Waker>>,
}

/// A task was added.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Added {
    /// Counts up from zero within one request.
    pub(crate) id: u32,
    /// The request had been released before, or the task is detached: it may be on no roster any more.
    pub(crate) late: bool,
}

impl Live {
    pub(crate) fn new() -> Self {
        Self {
            word: AtomicU64::new(0),
            last: AtomicU32::new(u32::MAX),
            waker: Mutex::new(None),
        }
    }

    /// Whether nothing was ever added, and it was not released.
    #[inline]
    pub(crate) fn is_fresh(&self) -> bool {
        self.word.load(Ordering::Relaxed) == 0
    }

    pub(crate) fn alive(&self) -> usize {
        alive(self.word.load(Ordering::Acquire))
    }

    #[inline]
    pub(crate) fn spawned(&self) -> usize {
        spawned(self.word.load(Ordering::Acquire)) as usize
    }

    pub(crate) fn is_released(&self) -> bool {
        self.word.load(Ordering::Acquire) & RELEASED != 0
    }

    /// The id of the task whose end made the count zero.
    pub(crate) fn last(&self) -> u32 {
        // Stored before the Release subtraction, read after an Acquire load saw its zero.
        self.last.load(Ordering::Relaxed)
    }

    /// Counts a task in. It always succeeds: a late task runs as well.
    pub(crate) fn add(&self) -> Added {
        // Relaxed: the task hands nothing over by being counted. What it hands over is published
        // by its `remove`.
        added(self.word.fetch_add(SPAWNED + ALIVE, Ordering::Relaxed))
    }

    /// Counts a task in, and a second time as alive for the one who spawns it: two `remove`s have
    /// to follow.
    #[inline]
    pub(crate) fn add_with_spawner(&self) -> Added {
        added(self.word.fetch_add(SPAWNED + 2 * ALIVE, Ordering::Relaxed))
    }

    /// Counts a task in as [`add_with_spawner`](Self::add_with_spawner) does, unless the request was
    /// released: who comes first is decided by the word.
    pub(crate) fn try_add_with_spawner(&self) -> Option<Added> {
        let mut word = self.word.load(Ordering::Relaxed);
        while word & RELEASED == 0 {
            match self.word.compare_exchange_weak(
                word,
                word.wrapping_add(SPAWNED + 2 * ALIVE),
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(before) => return Some(added(before)),
                Err(now) => word = now,
            }
        }
        None
    }

    /// Counts a task out, and wakes who waits if it was the last one. If the request had been released
    /// before, or is attended, gives what `announce` makes: that is made before the count goes down.
    pub(crate) fn remove<T>(&self, id: u32, announce: impl Fn() -> T) -> Option<T> {
        let mut made = None;
        // Acquire: if another one was alone here before, its store below comes before ours.
        let mut word = self.word.load(Ordering::Acquire);
        loop {
            if alive(word) == 1 {
                // If another task is added meanwhile the swap below fails: who makes the count zero
                // has always written its id before.
                self.last.store(id, Ordering::Relaxed);
            }
            if word & (RELEASED | ATTENDED) != 0 {
                // Neither is taken back: this is made at most once, and not in vain.
                made.get_or_insert_with(&announce);
            }
            // Release: what the task did happens before the release of the response, which reads
            // the word with Acquire. Acquire: see 3 above.
            match self.word.compare_exchange_weak(
                word,
                word - ALIVE,
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => break,
                Err(now) => word = now,
            }
        }
        if alive(word) == 1 && word & WAITED != 0 {
            self.wake();
        }
        made
    }

    /// Ready when no task is alive. It is no release: the next moment may add one.
    pub(crate) fn poll_none_alive(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.alive() == 0 {
            return Poll::Ready(());
        }
        self.listen(cx);
        let word = self.word.fetch_or(WAITED, Ordering::AcqRel);
        if alive(word) == 0 {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    /// Stores who is to be woken, by the last task if one is alive, and by [`wake`](Self::wake).
    pub(crate) fn listen(&self, cx: &mut Context<'_>) {
        let waker = cx.waker().clone();
        let before = self
            .waker
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .replace(waker);
        // Outside of the lock: the last waker of a task may drop the task, and with it a task of
        // this very request.
        drop(before);
    }

    /// Wakes who waits, if somebody does, to look again.
    pub(crate) fn wake(&self) {
        let waker = self
            .waker
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Has each end announced from now on. An end that is not has gone before, so that a count that is read
    /// after this is without it: both are changes of one word.
    pub(crate) fn attend(&self) {
        self.word.fetch_or(ATTENDED, Ordering::AcqRel);
    }

    /// Releases if no task is alive, and tells how many had been added by then.
    pub(crate) fn try_release(&self) -> Option<usize> {
        let mut word = self.word.load(Ordering::Acquire);
        while alive(word) == 0 {
            match self.word.compare_exchange_weak(
                word,
                word | RELEASED,
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => return Some(spawned(word) as usize),
                Err(now) => word = now,
            }
        }
        None
    }

    /// Releases if no task was ever added.
    #[cfg_attr(not(feature = "http"), allow(dead_code))]
    pub(crate) fn try_release_unused(&self) -> bool {
        let released = self
            .word
            .compare_exchange(0, RELEASED, Ordering::AcqRel, Ordering::Acquire);
        released.is_ok()
    }

    /// Releases whatever is alive.
    pub(crate) fn release(&self) {
        self.word.fetch_or(RELEASED, Ordering::AcqRel);
    }
}

fn added(before: u64) -> Added {
    Added {
        id: spawned(before),
        late: before & RELEASED != 0,
    }
}

fn alive(word: u64) -> usize {
    ((word as u32) >> 3) as usize
}

#[inline]
fn spawned(word: u64) -> u32 {
    (word >> 32) as u32
}
