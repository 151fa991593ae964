"""What is compared: a stack is a folder with a script `start`, a mode is what it does with its work."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Variant:
    stack: str
    mode: str
    label: str
    # Whether the response waits for the work.
    waits: bool

    @property
    def name(self) -> str:
        return f"{self.stack}-{self.mode}"


VARIANTS = [
    Variant("node", "awaited", "functions-framework, awaits", True),
    Variant("starlette", "awaited", "Starlette, awaits", True),
    Variant("ours", "inline", "axum, handler awaits", True),
    Variant("ours", "awaited", "axum, TaskTrackerLayer", True),
    Variant("node", "after", "functions-framework, not awaited", False),
    Variant("starlette", "after", "Starlette, BackgroundTasks", False),
    Variant("ours", "after", "axum, tokio::spawn", False),
]
