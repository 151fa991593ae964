"""Requests a second and latency, under the same load for all."""

import json
import subprocess

from .paths import PEERS
from .server import Server
from .variants import VARIANTS

# Few for what a client sees of a server that has time, many for what a server can do.
CONNECTIONS = FEW, MANY = 8, 256


def measure(rounds: int, seconds: int, warm_up: int) -> dict:
    """By variant and number of connections, the rounds. Interleaved, so that a bad time hits all."""
    results = {v.name: {str(c): [] for c in CONNECTIONS} for v in VARIANTS}
    for number in range(rounds):
        for variant in VARIANTS:
            with Server(variant) as server:
                # All of it with many, so that a compiler at run time has seen enough.
                wrk(server, MANY, warm_up)
                for connections in CONNECTIONS:
                    result = wrk(server, connections, seconds)
                    results[variant.name][str(connections)].append(result)
                    print(f"load {number + 1}/{rounds}: {variant.label}, {connections} connections: "
                          f"{result['requests_per_s']:.0f}/s, p50 {result['p50_ms']:.1f} ms, "
                          f"p99 {result['p99_ms']:.1f} ms, {result['cpu_us']:.0f} us", flush=True)
    return results


def wrk(server: Server, connections: int, seconds: int) -> dict:
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s",
               "-s", PEERS / "order.lua", f"http://127.0.0.1:{server.port}/orders/1"]
    cpu = server.cpu_seconds()
    run = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30, check=True)
    cpu = server.cpu_seconds() - cpu
    result = json.loads(run.stdout.splitlines()[-1])
    if result.pop("errors") or not result["requests"]:
        raise RuntimeError(f"{server.variant.name}: not all was answered with 200\n{run.stdout}")
    result["requests_per_s"] = result["requests"] / result.pop("seconds")
    # Processor time of the server for one request: other programs disturb it less than the clock.
    result["cpu_us"] = cpu / result["requests"] * 1e6
    result["memory_mib"] = server.peak_memory_mib()
    return {key: round(value, 3) for key, value in result.items()}
