"""The results as a picture, for light and dark pages alike: its ground is white."""

from collections.abc import Callable

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from .load import FEW, MANY
from .paths import PLOT, PLOT_PNG
from .summary import best, lost, middle, milliseconds, whole
from .variants import VARIANTS

WAITS, AFTER = "#2a6f97", "#d9822b"
COLOURS = [WAITS if v.waits else AFTER for v in VARIANTS]
ROWS = range(len(VARIANTS))


def write(results: dict) -> None:
    # Without a fixed salt, and a date that is left out, each drawing would be another file.
    matplotlib.rcParams |= {"svg.hashsalt": "peers", "font.size": 9, "axes.titlesize": 10}
    figure, axes = pyplot.subplots(2, 2, figsize=(10, 6.4), sharey=True, layout="constrained")
    (lost_work, latency), (requests, processor) = axes
    draw_lost(lost_work, results)
    draw_latency(latency, results)
    draw_figure(requests, results, "requests_per_s", f"Requests/s, {MANY} connections", whole)
    draw_figure(processor, results, "cpu_us", f"Processor time a request, µs, {MANY} connections", whole)
    lost_work.set_yticks(ROWS, [v.label for v in VARIANTS])
    lost_work.invert_yaxis()
    for axis in axes.flat:
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(axis="y", length=0)
    figure.legend(handles=[Patch(color=WAITS, label="the response waits for the work"),
                           Patch(color=AFTER, label="the work goes on after the response")],
                  loc="outside upper center", ncols=2, frameon=False)
    figure.supxlabel("Bars and numbers: best round. Thin lines: to the median of all rounds.", fontsize=8)
    figure.savefig(PLOT, metadata={"Date": None})
    figure.savefig(PLOT_PNG, dpi=110)


def draw_lost(axis: Axes, results: dict) -> None:
    counts = [lost(results, v) for v in VARIANTS]
    axis.set_title(f"Acknowledged orders lost in a freeze, of {counts[0][1]}", loc="left")
    bars = axis.barh(ROWS, [c[0] for c in counts], color=COLOURS, height=0.65)
    axis.bar_label(bars, padding=4)
    axis.set_xlim(0, counts[0][1] * 1.15)


def draw_latency(axis: Axes, results: dict) -> None:
    axis.set_title(f"Latency, ms, {FEW} connections: p50 (dark), p99 (light)", loc="left")
    ends = []
    for name, offset, alpha in [("p50_ms", -0.2, 1), ("p99_ms", 0.2, 0.5)]:
        ends += bars(axis, results, name, FEW, milliseconds, offset, 0.38, alpha)
    axis.set_xscale("log")
    axis.xaxis.set_major_formatter("{x:g}")
    axis.set_xlim(0.05, max(ends) * 3)
    axis.axvline(10, color="#555555", linewidth=0.8, linestyle="--", zorder=0)
    axis.text(0.99, 0.02, "dashed: the work", transform=axis.transAxes, ha="right", fontsize=8,
              color="#555555")


def draw_figure(axis: Axes, results: dict, name: str, title: str, form: Callable) -> None:
    axis.set_title(title, loc="left")
    axis.xaxis.set_major_locator(MaxNLocator(5))
    axis.xaxis.set_major_formatter("{x:,.0f}")
    axis.set_xlim(0, max(bars(axis, results, name, MANY, form, 0, 0.65, 1)) * 1.2)


def bars(axis: Axes, results: dict, name: str, connections: int, form: Callable, offset: float,
         height: float, alpha: float) -> list[float]:
    """Returns how far each of them reaches, its line included."""
    values = [best(results, v, connections, name) for v in VARIANTS]
    medians = [middle(results, v, connections, name) for v in VARIANTS]
    rows = [row + offset for row in ROWS]
    axis.barh(rows, values, color=COLOURS, height=height, alpha=alpha)
    axis.hlines(rows, values, medians, color="#333333", linewidth=1)
    ends = [max(pair) for pair in zip(values, medians)]
    for row, value, end in zip(rows, values, ends):
        axis.annotate(form(value), (end, row), xytext=(4, 0), textcoords="offset points",
                      va="center", fontsize=8)
    return ends
