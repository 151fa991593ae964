"""What is left of acknowledged orders when the instance is frozen after the response, for good."""

import tempfile
import time
from pathlib import Path
from statistics import median

from .order import place
from .server import Server
from .variants import VARIANTS, Variant


def measure(orders: int) -> dict:
    results = {v.name: {"acknowledged": 0, "lost": 0} for v in VARIANTS}
    stopped = {v.name: [] for v in VARIANTS}
    with tempfile.TemporaryDirectory() as folder:
        for order in range(1, orders + 1):
            for variant in VARIANTS:
                result = results[variant.name]
                lost, stopped_after_ms = freeze(variant, order, Path(folder) / "orders")
                result["acknowledged"] += 1
                result["lost"] += lost
                stopped[variant.name].append(stopped_after_ms)
            if order % 10 == 0:
                losses = ", ".join(f"{v.label} {results[v.name]['lost']}" for v in VARIANTS)
                print(f"freeze: of {order} orders lost: {losses}", flush=True)
    for name, times in stopped.items():
        results[name]["stopped_after_ms"] = {"median": median(times), "max": max(times)}
    return results


def freeze(variant: Variant, order: int, file: Path) -> tuple[bool, float]:
    """One order for one process: whether it is lost, and when the process stood still."""
    file.write_text("")
    with Server(variant, orders=file) as server:
        connection = server.connect()
        place(connection, order)
        acknowledged = time.perf_counter()
        server.stop()
        stopped = time.perf_counter()
        server.kill()
    return f"{order}\n" != file.read_text(), round((stopped - acknowledged) * 1000, 3)
