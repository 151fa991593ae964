"""A server process, seen from outside."""

import os
import re
import signal
import socket
import subprocess
import time
from http.client import HTTPConnection
from pathlib import Path

from .paths import BUILT, PEERS
from .variants import Variant

TICKS = os.sysconf("SC_CLK_TCK")
# A first start may install or build.
FIRST_START, START = 900, 30


class Server:
    """Runs for as long as its `with`; at its end it is killed, stopped or not."""

    def __init__(self, variant: Variant, orders: Path | None = None, limit: float = START):
        self.variant, self.orders, self.limit = variant, orders, limit
        self.port = free_port()
        self.log = BUILT / f"{variant.name}.log"

    def __enter__(self) -> "Server":
        environment = dict(os.environ, PORT=str(self.port), MODE=self.variant.mode)
        environment.pop("ORDERS", None)
        if self.orders:
            environment["ORDERS"] = str(self.orders)
        with self.log.open("w") as log:
            # A process group of its own, so that a signal reaches whatever it starts.
            self.process = subprocess.Popen(
                [PEERS / self.variant.stack / "start"], env=environment,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        try:
            self.wait_until_it_listens()
            self.is_one_process()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(self, *_) -> None:
        self.kill()

    def connect(self) -> HTTPConnection:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.connect()
        return connection

    def wait_until_it_listens(self) -> None:
        end = time.monotonic() + self.limit
        while True:
            try:
                return self.connect().close()
            except ConnectionRefusedError:
                pass
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{self.variant.name} did not start (exit code "
                                   f"{self.process.returncode}):\n{self.log.read_text()}")
            time.sleep(0.02)

    def is_one_process(self) -> None:
        """What the processor time is read of must be the whole server."""
        group = self.process.pid
        others = [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc")))
                  if pid != group and group_of(pid) == group]
        if others:
            raise RuntimeError(f"{self.variant.name} has other processes: {others}")

    def cpu_seconds(self) -> float:
        user, system = stat(self.process.pid)[11:13]
        return (int(user) + int(system)) / TICKS

    def peak_memory_mib(self) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024

    def stop(self) -> None:
        """Stops it, which it can neither refuse nor put off, and returns when it stands still."""
        os.killpg(self.process.pid, signal.SIGSTOP)
        # WNOWAIT leaves its end, too, to be waited for.
        event = os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        if event.si_code != os.CLD_STOPPED:
            raise RuntimeError(f"{self.variant.name} was not stopped: {event}")

    def kill(self) -> None:
        """Kills it as it stands, and waits for its end."""
        if self.process.returncode is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def stat(pid: int) -> list[str]:
    """The fields of /proc/pid/stat that come after the name; the first is the state."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def group_of(pid: int) -> int | None:
    try:
        return int(stat(pid)[2])
    except (FileNotFoundError, ProcessLookupError):
        return None
