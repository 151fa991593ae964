"""What was measured, and on what."""

import json
import os
import platform
import re
import subprocess
from datetime import date
from pathlib import Path

from .paths import BUILT, PEERS

# Of a Python with the packages of the stack: its version, and theirs.
PYTHON = ("import json, platform; from importlib.metadata import version;"
          "names = 'starlette', 'uvicorn', 'uvloop', 'httptools';"
          "print(json.dumps({'Python': platform.python_version()} | {n: version(n) for n in names}))")


def facts() -> dict:
    return {
        "date": date.today().isoformat(),
        "machine": machine(),
        "versions": node() | json.loads(output(BUILT / "starlette/bin/python", "-c", PYTHON)) | rust()
        | {"wrk": re.search(r"\d[\d.]*\d", output("wrk", "-v", check=False))[0]},
    }


def machine() -> dict:
    cpu = re.search(r"model name\s*:\s*(.*)", Path("/proc/cpuinfo").read_text())
    return {
        "cpu": cpu[1] if cpu else platform.machine(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
    }


def load_average() -> float:
    """Of one minute: programs that ran, or wanted to."""
    return round(os.getloadavg()[0], 1)


def node() -> dict:
    packages = {"functions-framework": "@google-cloud/functions-framework", "express": "express"}
    versions = {"Node.js": output("node", "--version").strip("v")}
    for name, package in packages.items():
        manifest = BUILT / "node/node_modules" / package / "package.json"
        versions[name] = json.loads(manifest.read_text())["version"]
    return versions


def rust() -> dict:
    versions = {"rustc": output("rustc", "--version").split()[1]}
    tree = output("cargo", "tree", "-p", "peers-ours", "--edges", "normal", "--prefix", "none",
                  "--format", "{p}", cwd=PEERS)
    for crate in ["axum", "hyper", "tokio", "tower-task-tracker"]:
        versions[crate] = re.search(rf"^{crate} v(\S+)", tree, re.MULTILINE)[1]
    return versions


def output(*command, cwd=None, check=True) -> str:
    run = subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=check)
    return (run.stdout or run.stderr).strip()
