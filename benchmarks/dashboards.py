"""Charts while builds publish: `make bench-dashboards` writes benchmarks/dashboards.md.

The demo university is built and served by a real Superset. Then so many clients at once ask what the
charts of `superset/charts/` ask, through the API that a browser uses, first while nothing else
happens and then while three builds, a day apart, publish. Every answer must be one, and what is
answered must be the newest publication from the moment that a query begins after its build ended.
"""

import argparse
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import yaml

from benchmarks.dbt_build import PROJECT, build, environment

REPORT = Path(__file__).with_suffix(".md")
BIN = Path(sys.executable).parent
FIRST = datetime(2024, 3, 4)
QUIET_SECONDS = 30


@dataclass
class Load:
    """Answers of one phase: seconds each took, and what went wrong."""

    seconds: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--builds", type=int, default=3)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        here = environment(Path(folder) / "home")
        built(here, FIRST)
        server, url = serve(here, Path(folder))
        try:
            token = log_in(url, Path(folder))
            queries = charts(url, token)
            quiet = load(url, token, queries, chosen.clients, lambda: time.sleep(QUIET_SECONDS))
            stale: list[str] = []
            busy = load(
                url,
                token,
                queries,
                chosen.clients,
                lambda: publish(here, url, token, chosen.builds, stale),
            )
        finally:
            server.terminate()
            server.wait(60)
    failures = quiet.failures + busy.failures + stale
    write(chosen, len(queries), quiet, busy, failures)
    print(REPORT.read_text())
    if failures:
        sys.exit(f"{len(failures)} failures, the first: {failures[0]}")


def built(here: dict[str, str], as_of: datetime) -> None:
    print(f"building as of {as_of} …", flush=True)
    build(within=here, as_of=str(as_of))


def serve(here: dict[str, str], folder: Path) -> tuple[subprocess.Popen, str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = folder / "serve.log"
    with log.open("w") as stream:
        server = subprocess.Popen(
            [BIN / "insightera", "dashboards", "serve", "--port", str(port)],
            env=here,
            stdout=stream,
            stderr=stream,
            cwd=PROJECT,
        )
    while "Ctrl-C stops it" not in log.read_text():
        if server.poll() is not None:
            sys.exit(log.read_text())
        time.sleep(0.5)
    return server, f"http://127.0.0.1:{port}"


def call(url: str, token: str = "", body: object = None) -> Any:
    headers = {"Content-Type": "application/json"}
    headers |= {"Authorization": f"Bearer {token}"} if token else {}
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(
        urllib.request.Request(url, data=data, headers=headers), timeout=120
    ) as answer:
        return json.load(answer)


def log_in(url: str, folder: Path) -> str:
    password = (folder / "home" / "superset" / "demo_password").read_text()
    body = {"username": "demo", "password": password, "provider": "db"}
    return call(f"{url}/api/v1/security/login", body=body)["access_token"]


def charts(url: str, token: str) -> list[dict[str, Any]]:
    """What each chart asks, as the browser would ask it."""
    held = call(f"{url}/api/v1/dataset/?q=(page_size:100)", token)["result"]
    ids = {entry["table_name"]: entry["id"] for entry in held}
    tables = {}
    for path in PROJECT.glob("superset/datasets/*/*.yaml"):
        dataset = yaml.safe_load(path.read_text())
        tables[dataset["uuid"]] = dataset["table_name"]
    found = []
    for path in sorted(PROJECT.glob("superset/charts/*.yaml")):
        chart = yaml.safe_load(path.read_text())
        params = chart["params"]
        groups = params.get("groupby") or []
        columns = params.get("all_columns") or [
            *([params["x_axis"]] if "x_axis" in params else []),
            *([groups] if isinstance(groups, str) else groups),
        ]
        metrics = params.get("metrics") or ([params["metric"]] if "metric" in params else [])
        filters = [
            {"col": f["subject"], "op": f["operator"], "val": f.get("comparator")}
            for f in params["adhoc_filters"]
        ]
        query = {
            "columns": columns,
            "metrics": metrics,
            "filters": filters,
            "row_limit": params.get("row_limit", 1000),
        }
        dataset_id = ids[tables[chart["dataset_uuid"]]]
        found.append(
            {"datasource": {"id": dataset_id, "type": "table"}, "queries": [query], "force": True}
        )
    return found


def load(url: str, token: str, queries: list[Any], clients: int, during: Any) -> Load:
    """Ask with so many clients at once for as long as `during` takes."""
    result, over = Load(), threading.Event()

    def ask(client: int) -> None:
        turn = client
        while not over.is_set():
            begin = time.perf_counter()
            try:
                answer = call(f"{url}/api/v1/chart/data", token, queries[turn % len(queries)])
                if answer["result"][0]["error"] or answer["result"][0]["status"] != "success":
                    result.failures.append(str(answer["result"][0]["error"]))
            except Exception as error:
                result.failures.append(f"{type(error).__name__}: {error}")
            result.seconds.append(time.perf_counter() - begin)
            turn += 1

    with ThreadPoolExecutor(clients) as pool:
        for client in range(clients):
            pool.submit(ask, client)
        try:
            during()
        finally:
            over.set()
    return result


def publish(here: dict[str, str], url: str, token: str, builds: int, stale: list[str]) -> None:
    """Build a day later each time; what the next query says must be of that build."""
    held = call(f"{url}/api/v1/dataset/?q=(page_size:100)", token)["result"]
    receipts = next(entry["id"] for entry in held if entry["table_name"] == "report_receipts")
    query = {"columns": ["as_of"], "metrics": [], "row_limit": 1000}
    for number in range(1, builds + 1):
        as_of = FIRST + timedelta(days=number)
        built(here, as_of)
        body = {"datasource": {"id": receipts, "type": "table"}, "queries": [query]}
        rows = call(f"{url}/api/v1/chart/data", token, body)["result"][0]["data"]
        newest = max(row["as_of"] for row in rows)
        if newest != as_of.replace(tzinfo=timezone.utc).timestamp() * 1000:
            stale.append(f"after the build as of {as_of} the newest receipt shown is of {newest}")


def write(
    chosen: argparse.Namespace, charts: int, quiet: Load, busy: Load, failures: list[str]
) -> None:
    def row(name: str, phase: Load) -> str:
        hundredths = statistics.quantiles(phase.seconds, n=100)
        return (
            f"| {name} | {len(phase.seconds):,} | {statistics.median(phase.seconds):.2f} | "
            f"{hundredths[98]:.2f} | {max(phase.seconds):.2f} | {len(phase.failures)} |"
        )

    REPORT.write_text(
        f"""# Charts while builds publish

`make bench-dashboards`: {chosen.clients} clients at once ask what the {charts} charts ask, of a real Superset (two
processes of eight threads) over the demo university; the caches are off. Then the same while {chosen.builds} builds, a day
apart, publish on the same machine. After each build the next query must show its receipt.

| phase | queries | median (s) | p99 (s) | longest (s) | failures |
|---|---|---|---|---|---|
{row("nothing else happens", quiet)}
{row(f"{chosen.builds} builds publish", busy)}

Failures, publications not seen by the next query included: {len(failures)}.

Sixteen threads answer so many clients, so the figures are those of the queue. Builds, Superset and the clients
share {os.cpu_count()} cores here.

{platform.system()}, {os.cpu_count()} cores, Python {platform.python_version()}.
"""
    )


if __name__ == "__main__":
    main()
