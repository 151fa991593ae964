"""The same work in three stacks: what it costs, and what a freeze makes of it."""
