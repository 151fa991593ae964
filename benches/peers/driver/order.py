"""Placing an order, and whether a variant is what it is called."""

import time
from http.client import HTTPConnection

from .server import FIRST_START, Server
from .variants import Variant

THANKS = b"thank you\n"
# Of the work behind an order.
WORK_MS = 10


def place(connection: HTTPConnection, order: int) -> None:
    """Once this has returned the order is acknowledged, to the last byte of its response."""
    connection.request("POST", f"/orders/{order}", headers={"content-length": "0"})
    response = connection.getresponse()
    body = response.read()
    if response.status != 200 or body != THANKS:
        raise RuntimeError(f"order {order} was answered {response.status}: {body!r}")


def check(variant: Variant) -> None:
    """Starts it for the first time. A response that waits takes as long as the work, at least."""
    with Server(variant, limit=FIRST_START) as server:
        connection = server.connect()
        best = min(timed(connection) for _ in range(20))
    # A timer of whole milliseconds may end a little early.
    waits = best > WORK_MS - 1
    if waits != variant.waits:
        raise RuntimeError(f"{variant.name} answers in {best:.1f} ms: is it what it is called?")
    print(f"{variant.label}: answers in {best:.1f} ms", flush=True)


def timed(connection: HTTPConnection) -> float:
    start = time.perf_counter()
    place(connection, 1)
    return (time.perf_counter() - start) * 1000
