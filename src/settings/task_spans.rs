//! The spans of tasks.

/// Which `tracing` span a task runs in. Without the feature `tracing` it has no effect.
///
/// A span that is made for a task is named `task`, has the level INFO, and has the fields `name` (of a named task) and
/// `location`.
///
/// A [detached](crate::TaskBuilder::detached) task always gets a span as under [`Linked`](Self::Linked), because it may
/// outlive its request for long.
///
/// If the subscriber disables the span `task`, the task runs in the span that is current where it is spawned.
/// A detached task then keeps that span open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum TaskSpans {
    /// Each task gets its own span, whose parent is the span that is current where the task is spawned.
    ///
    /// A `tracing` registry closes a span only after its children have closed. So a straggler keeps the span of its
    /// request open until the straggler ends.
    #[default]
    Child,
    /// Each task gets its own span, which is a root span. It follows from the span that is current where the task is
    /// spawned, and does not keep that span open. It also has the field `request_id`, if the request arrived with an
    /// `x-request-id`.
    Linked,
    /// A task runs in the span that is current where it is spawned, and keeps that span open.
    Inherit,
}
