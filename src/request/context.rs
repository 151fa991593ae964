//! The request and the task that code runs in.
//!
//! The two may differ. The [`Context`] is the request that spawns go to. If a task enters the context of another
//! request, or of none, it is still the task that is [`Running`].

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::ptr;
use std::sync::{Arc, LazyLock};
use std::task::{Context as TaskContext, Poll};
use std::thread;

use pin_project_lite::pin_project;

use super::Request;
use super::task::Parent;
use crate::sync::thread_local;

/// Where code runs: in a request, outside of any request, or outside of any request on purpose.
///
/// The last case is a request of its own, which takes no tasks. So a context is one pointer. That matters, because each
/// poll swaps it twice, and each task contains one.
#[derive(Clone, Default)]
pub(crate) struct Context(Option<Arc<Request>>);

/// What runs on a thread: a task, other code of a request, or neither. The thread keeps the innermost one, and those
/// further out on the stack.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Running {
    /// The address of the request, for comparison only: the running code keeps the request alive. Null if there is no
    /// request.
    request: *const Request,
    /// `None` for code that is no task.
    task: Option<RunningTask>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct RunningTask {
    pub(crate) id: u32,
    /// True if no response waits for the task.
    pub(crate) is_detached: bool,
}

struct Here {
    context: Cell<Context>,
    running: Cell<Running>,
    /// What runs further out on the stack than `running`. Usually empty.
    outer: RefCell<Vec<Running>>,
}

const NOTHING: Running = Running {
    request: ptr::null(),
    task: None,
};

// If the thread is being torn down, the value is gone. Code is then outside of any request, and nothing is swapped.
thread_local! {
    static HERE: Here = const {
        Here {
            context: Cell::new(Context::outside()),
            running: Cell::new(NOTHING),
            outer: RefCell::new(Vec::new()),
        }
    };
}

static UNTRACKED: LazyLock<Arc<Request>> = LazyLock::new(Request::untracked);

impl Context {
    /// Returns the context outside of any request. Code is usually there by mistake.
    pub(crate) const fn outside() -> Self {
        Self(None)
    }

    /// Returns the context outside of any request on purpose.
    pub(crate) fn untracked() -> Self {
        Self(Some(UNTRACKED.clone()))
    }

    /// Returns the context of a request.
    #[inline]
    pub(crate) fn within(request: Arc<Request>) -> Self {
        Self(Some(request))
    }

    /// Returns whether this is the context outside of any request, and not on purpose.
    #[inline]
    pub(crate) fn is_outside(&self) -> bool {
        self.0.is_none()
    }

    /// Returns whether the running code is outside of any request, and not on purpose.
    #[cfg_attr(not(feature = "http"), allow(dead_code))]
    #[inline]
    pub(crate) fn is_nowhere() -> bool {
        HERE.try_with(|here| {
            let context = here.context.take();
            let is_nowhere = context.is_outside();
            here.context.set(context);
            is_nowhere
        })
        .unwrap_or(true)
    }

    /// Returns the context of the running code.
    #[inline]
    pub(crate) fn current() -> Self {
        HERE.try_with(|here| {
            let context = here.context.take();
            if context.is_outside() {
                return context;
            }
            here.context.set(context.clone());
            context
        })
        .unwrap_or_default()
    }

    /// Returns the request. Returns `None` outside of any request, on purpose or not.
    #[inline]
    pub(crate) fn request(&self) -> Option<&Arc<Request>> {
        self.0.as_ref().filter(|request| !request.is_untracked())
    }

    /// Returns the request. Only for a context from [`within`](Self::within) or [`outside`](Self::outside): the method
    /// does not check that the request takes tasks.
    #[inline]
    pub(crate) fn own(&self) -> Option<&Arc<Request>> {
        self.0.as_ref()
    }

    /// Like [`own`](Self::own).
    #[cfg_attr(not(feature = "http"), allow(dead_code))]
    #[inline]
    pub(crate) fn own_mut(&mut self) -> Option<&mut Arc<Request>> {
        self.0.as_mut()
    }

    /// Like [`own`](Self::own).
    #[inline]
    pub(crate) fn into_own(self) -> Option<Arc<Request>> {
        self.0
    }

    /// Like [`request`](Self::request).
    #[inline]
    pub(crate) fn into_request(self) -> Option<Arc<Request>> {
        self.0.filter(|request| !request.is_untracked())
    }

    /// Makes this the current context until the guard is dropped.
    ///
    /// The two contexts are swapped, not copied, so no reference count changes. Until the guard is dropped, `self`
    /// holds the previous context.
    #[inline]
    pub(crate) fn enter(&mut self) -> Entered<'_> {
        let _ = HERE.try_with(|here| here.swap(self));
        Entered { context: self }
    }

    /// Runs a part of a task of this request, with this as the current context. `work` must catch its panics: if one
    /// unwinds through this method, the previous context is not restored.
    #[inline]
    pub(crate) fn run_task<T>(
        &mut self,
        task: RunningTask,
        work: impl FnOnce() -> thread::Result<T>,
    ) -> thread::Result<T> {
        let before = self.swap_in(Running {
            request: self.0.as_ref().map_or(ptr::null(), Arc::as_ptr),
            task: Some(task),
        });
        let caught = work();
        self.swap_out(before);
        caught
    }

    /// Like [`enter`](Self::enter), and no task is running until the guard is dropped. For callbacks: they are no
    /// tasks, even if a task is further out on the stack.
    #[inline]
    pub(crate) fn enter_no_task(&mut self) -> EnteredNoTask<'_> {
        let before = self.swap_in(NOTHING);
        EnteredNoTask {
            context: self,
            before,
        }
    }

    #[inline]
    fn swap_in(&mut self, running: Running) -> Running {
        let mut before = NOTHING;
        let _ = HERE.try_with(|here| {
            here.swap(self);
            before = here.push(running);
        });
        before
    }

    #[inline]
    fn swap_out(&mut self, before: Running) {
        let _ = HERE.try_with(|here| {
            here.swap(self);
            here.pop(before);
        });
    }
}

impl Here {
    #[inline]
    fn swap(&self, context: &mut Context) {
        let other = self.context.replace(std::mem::take(context));
        *context = other;
    }

    #[inline]
    fn push(&self, running: Running) -> Running {
        let before = self.running.replace(running);
        if !before.is_nothing() {
            self.push_outer(before);
        }
        before
    }

    #[cold]
    fn push_outer(&self, before: Running) {
        self.outer.borrow_mut().push(before);
    }

    #[inline]
    fn pop(&self, before: Running) {
        self.running.set(before);
        if !before.is_nothing() {
            self.outer.borrow_mut().pop();
        }
    }
}

impl Running {
    /// Called before code enters another context. The running task stays the same. Until the guard is dropped, the
    /// request that is current now is kept just outside of that task, so that [`all`](Self::all) returns it too.
    pub(crate) fn enter_outer() -> EnteredOuter {
        let running = Self::current();
        let outer = match Context::current().request() {
            Some(request) => Self {
                request: Arc::as_ptr(request),
                task: None,
            },
            None => NOTHING,
        };
        let outer = outer.enter();
        EnteredOuter {
            _running: (!running.is_nothing()).then(|| running.enter()),
            _outer: outer,
        }
    }

    /// Returns everything that runs on this thread, from the outermost to the innermost.
    pub(crate) fn all() -> Vec<Self> {
        let outer = HERE.try_with(|here| here.outer.borrow().clone());
        let mut all = outer.unwrap_or_default();
        all.push(Self::current());
        all.retain(|running| !running.is_nothing());
        all
    }

    #[inline]
    pub(crate) fn current() -> Self {
        HERE.try_with(|here| here.running.get()).unwrap_or(NOTHING)
    }

    /// Returns the task, if it belongs to this request.
    #[inline]
    pub(crate) fn task_of(self, request: &Request) -> Option<RunningTask> {
        self.task.filter(|_| self.is_in(request))
    }

    #[inline]
    pub(crate) fn is_in(self, request: &Request) -> bool {
        ptr::eq(self.request, request)
    }

    #[inline]
    fn is_nothing(self) -> bool {
        self.request.is_null()
    }

    fn enter(self) -> EnteredRunning {
        let before = HERE.try_with(|here| here.push(self));
        EnteredRunning {
            before: before.unwrap_or(NOTHING),
        }
    }
}

impl Request {
    /// Returns whether the running code is a task of this request, and whether that task is detached.
    #[inline]
    pub(super) fn parent(&self) -> Parent {
        match Running::current().task_of(self) {
            None => Parent::None,
            Some(task) if task.is_detached => Parent::DetachedTask,
            Some(_) => Parent::Task,
        }
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.request() {
            Some(_) => "In(..)",
            None if self.is_outside() => "Outside",
            None => "Untracked",
        })
    }
}

/// Swaps the context back when it is dropped, also while a panic unwinds.
pub(crate) struct Entered<'a> {
    context: &'a mut Context,
}

impl Drop for Entered<'_> {
    #[inline]
    fn drop(&mut self) {
        let _ = HERE.try_with(|here| here.swap(self.context));
    }
}

/// Swaps the context back when it is dropped, and restores what ran before.
pub(crate) struct EnteredNoTask<'a> {
    context: &'a mut Context,
    before: Running,
}

impl Drop for EnteredNoTask<'_> {
    fn drop(&mut self) {
        self.context.swap_out(self.before);
    }
}

/// Restores what ran before when it is dropped, also while a panic unwinds.
pub(crate) struct EnteredRunning {
    before: Running,
}

impl Drop for EnteredRunning {
    fn drop(&mut self) {
        let _ = HERE.try_with(|here| here.pop(self.before));
    }
}

/// Restores what ran before when it is dropped. The fields are in the order of their drops: what was entered last is
/// left first.
pub(crate) struct EnteredOuter {
    _running: Option<EnteredRunning>,
    _outer: EnteredRunning,
}

pin_project! {
    /// A future that is polled and dropped in a context.
    #[derive(Debug)]
    pub(crate) struct InContext<F> {
        // `None` once the future has completed. It is dropped in the context.
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
        let _running = Running::enter_outer();
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
