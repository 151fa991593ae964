//! The task-local: in which request the running code is.

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context as TaskContext, Poll};

use pin_project_lite::pin_project;

use super::Registry;
use super::running::Running;

/// Where code runs, as far as tracking goes: in a request, outside of any, or outside on purpose.
///
/// The last one is a registry that is nobody's, so that all this is one pointer: it is swapped twice for
/// each poll, and is a part of what is moved about.
#[derive(Clone, Default)]
pub(crate) struct Context(Option<Arc<Registry>>);

thread_local! {
    static CURRENT: Cell<Context> = const { Cell::new(Context::outside()) };
}

static NOBODY: LazyLock<Arc<Registry>> = LazyLock::new(Registry::nobody);

impl Context {
    /// Outside of any request, probably by mistake.
    pub(crate) const fn outside() -> Self {
        Self(None)
    }

    /// Outside on purpose.
    pub(crate) fn untracked() -> Self {
        Self(Some(NOBODY.clone()))
    }

    /// In a request.
    #[inline]
    pub(crate) fn within(registry: Arc<Registry>) -> Self {
        Self(Some(registry))
    }

    pub(crate) fn is_outside(&self) -> bool {
        self.0.is_none()
    }

    /// Where the running code is. On a thread that is being torn down: outside.
    #[inline]
    pub(crate) fn current() -> Self {
        CURRENT
            .try_with(|current| {
                let context = current.take();
                if context.is_outside() {
                    return context;
                }
                current.set(context.clone());
                context
            })
            .unwrap_or_default()
    }

    #[inline]
    pub(crate) fn registry(&self) -> Option<&Arc<Registry>> {
        self.0.as_ref().filter(|registry| !registry.is_nobody())
    }

    #[inline]
    pub(crate) fn into_registry(self) -> Option<Arc<Registry>> {
        self.0.filter(|registry| !registry.is_nobody())
    }

    /// Makes this the current context until the guard is dropped.
    ///
    /// The two are swapped, not copied, so that entering touches no reference count. While
    /// entered, `self` holds what was current before.
    #[inline]
    pub(crate) fn enter(&mut self) -> Entered<'_> {
        swap(self);
        Entered { context: self }
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.registry() {
            Some(_) => "In(..)",
            None if self.is_outside() => "Outside",
            None => "Untracked",
        })
    }
}

/// Dropping it swaps the context back, also while a panic unwinds.
pub(crate) struct Entered<'a> {
    context: &'a mut Context,
}

impl Drop for Entered<'_> {
    #[inline]
    fn drop(&mut self) {
        swap(self.context);
    }
}

#[inline]
fn swap(context: &mut Context) {
    // On a thread that is being torn down there is nothing to swap with, neither when the context
    // is entered nor when it is left.
    let _ = CURRENT.try_with(|current| {
        let other = current.replace(std::mem::take(context));
        *context = other;
    });
}

pin_project! {
    /// A future that is polled, and dropped, in a context.
    #[derive(Debug)]
    pub(crate) struct InContext<F> {
        // `None` once it has ended: it is dropped in the context too.
        #[pin]
        future: Option<F>,
        context: Context,
    }

    impl<F> PinnedDrop for InContext<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let _entered = this.context.enter();
            this.future.set(None);
        }
    }
}

impl<F> InContext<F> {
    pub(crate) fn new(future: F, context: Context) -> Self {
        Self {
            future: Some(future),
            context,
        }
    }
}

impl<F: Future> Future for InContext<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        let _running = Running::enter_beneath();
        let _entered = this.context.enter();
        let Some(future) = this.future.as_mut().as_pin_mut() else {
            panic!("a future in a request's context was polled after it had ended");
        };
        let polled = future.poll(cx);
        if polled.is_ready() {
            this.future.set(None);
        }
        polled
    }
}
