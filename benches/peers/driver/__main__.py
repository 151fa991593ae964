"""`benches/peers/run`: all of it, in order."""

import argparse
import json
import shlex
import signal
import sys

from . import freeze, load, machine, plot, table
from .order import check
from .paths import BUILT, RESULTS
from .variants import VARIANTS


def main() -> None:
    arguments = parse()
    # As an exception, so that no server is left running.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))
    if not arguments.redraw:
        BUILT.mkdir(parents=True, exist_ok=True)
        RESULTS.write_text(json.dumps(measure(arguments), indent=1) + "\n")
    results = json.loads(RESULTS.read_text())
    table.write(results)
    plot.write(results)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benches/peers/run")
    parser.add_argument("--rounds", type=int, default=8, help="of load, for each variant")
    parser.add_argument("--seconds", type=int, default=3, help="of load, in each round")
    parser.add_argument("--warm-up", type=int, default=4, help="seconds of load before them")
    parser.add_argument("--orders", type=int, default=100, help="that are frozen, of each variant")
    parser.add_argument("--redraw", action="store_true", help="measure nothing, write table and plot")
    return parser.parse_args()


def measure(arguments: argparse.Namespace) -> dict:
    for variant in VARIANTS:
        check(variant)
    settings = {key: value for key, value in vars(arguments).items() if key != "redraw"}
    before = machine.load_average()
    measured = {
        "load": load.measure(arguments.rounds, arguments.seconds, arguments.warm_up),
        "freeze": freeze.measure(arguments.orders),
    }
    return machine.facts() | {
        "command": shlex.join(["benches/peers/run", *sys.argv[1:]]),
        "settings": settings,
        "load_average": [before, machine.load_average()],
    } | measured


main()
