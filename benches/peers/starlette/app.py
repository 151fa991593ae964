"""An HTTP service with Starlette. Its background work takes 10 ms."""

import asyncio
import os

from starlette.applications import Starlette
from starlette.background import BackgroundTasks
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

ORDERS = os.environ.get("ORDERS")


async def work(order: str) -> None:
    await asyncio.sleep(0.01)
    if ORDERS:
        with open(ORDERS, "a") as orders:
            orders.write(f"{order}\n")


async def awaited(request: Request) -> PlainTextResponse:
    """The work is a task, and is done before the response is made."""
    task = asyncio.create_task(work(request.path_params["id"]))
    await task
    return PlainTextResponse("thank you\n")


async def after(request: Request) -> PlainTextResponse:
    """Starlette runs the work when it has sent the response."""
    tasks = BackgroundTasks()
    tasks.add_task(work, request.path_params["id"])
    return PlainTextResponse("thank you\n", background=tasks)


handler = {"awaited": awaited, "after": after}[os.environ["MODE"]]
app = Starlette(routes=[Route("/orders/{id}", handler, methods=["POST"])])
