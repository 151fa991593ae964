"""The results as Markdown tables."""

from collections.abc import Callable
from statistics import median

from .load import CONNECTIONS, MANY
from .paths import TABLE
from .summary import best, lost, middle, milliseconds, rounds, whole
from .variants import VARIANTS, Variant

FIGURES = {"requests/s": ("requests_per_s", whole), "p50, ms": ("p50_ms", milliseconds),
           "p99, ms": ("p99_ms", milliseconds), "processor time a request, µs": ("cpu_us", whole)}


def write(results: dict) -> None:
    TABLE.write_text("\n\n".join(
        [freeze(results)] + [load(results, c) for c in CONNECTIONS] + [conditions(results)]) + "\n")


def freeze(results: dict) -> str:
    rows = []
    for variant in VARIANTS:
        orders, acknowledged = lost(results, variant)
        stopped = results["freeze"][variant.name]["stopped_after_ms"]
        memory = median(rounds(results, variant, MANY, "memory_mib"))
        rows.append([variant.label, waits(variant), f"{orders} of {acknowledged}",
                     "{median:.2f} ({max:.1f})".format(**stopped), f"{memory:.0f}"])
    return markdown(
        ["server", "response waits", "acknowledged orders lost",
         "stopped after the last byte, ms: median (latest)", "peak memory under load, MiB"], rows)


def load(results: dict, connections: int) -> str:
    rows = [[variant.label] + [figure(results, variant, connections, *f) for f in FIGURES.values()]
            for variant in VARIANTS]
    return (f"{connections} connections, best round (median):\n\n"
            + markdown(["server", *FIGURES], rows))


def figure(results: dict, variant: Variant, connections: int, name: str, form: Callable) -> str:
    values = (f(results, variant, connections, name) for f in (best, middle))
    return "{} ({})".format(*(form(value) for value in values))


def waits(variant: Variant) -> str:
    return "yes" if variant.waits else "no"


def markdown(head: list[str], rows: list[list[str]]) -> str:
    rule = ["---"] + ["---:"] * (len(head) - 1)
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, rule, *rows])


def conditions(results: dict) -> str:
    machine, settings = results["machine"], results["settings"]
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    return (
        f"Measured on {results['date']}: {machine['cpu']}, {machine['cores']} cores, Linux "
        f"{machine['kernel']}, load average {' to '.join(map(str, results['load_average']))} "
        f"(the comparison itself adds one to two). {versions}. "
        f"{settings['rounds']} interleaved rounds of {settings['seconds']} s after "
        f"{settings['warm_up']} s of warm-up. Command: `{results['command']}`.")
