"""Of each figure the best round, and the median of all."""

from statistics import median

from .variants import Variant

# By figure, which round is the best one: other programs only ever make a figure worse.
BEST = {"requests_per_s": max, "p50_ms": min, "p99_ms": min, "cpu_us": min}


def best(results: dict, variant: Variant, connections: int, figure: str) -> float:
    return BEST[figure](rounds(results, variant, connections, figure))


def middle(results: dict, variant: Variant, connections: int, figure: str) -> float:
    return median(rounds(results, variant, connections, figure))


def rounds(results: dict, variant: Variant, connections: int, figure: str) -> list[float]:
    return [r[figure] for r in results["load"][variant.name][str(connections)]]


def lost(results: dict, variant: Variant) -> tuple[int, int]:
    """Lost orders, of so many that were acknowledged."""
    frozen = results["freeze"][variant.name]
    return frozen["lost"], frozen["acknowledged"]


def milliseconds(value: float) -> str:
    return f"{value:.{0 if value >= 100 else 1 if value >= 1 else 2}f}"


def whole(value: float) -> str:
    return f"{value:,.0f}"
