"""A build on a standalone Spark cluster of this machine: one master, two workers on the loopback.

Run by `make bench-cluster`. Over a generated university; state goes to `var/bench-cluster`, which is
emptied first. Reads Spark's event log for who did what, and writes `benchmarks/cluster.md`; ends
with an error where features or scoring did not run on both workers.
"""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path

from benchmarks.dbt_build import PROJECT, build, environment

STATE = PROJECT / "var" / "bench-cluster"
STUDENTS = 500
WORKERS = 2
SHOWN = ("features_", "train_", "score_", "published_student", "monitor_population")
MUST = ("features_mahasiswa_", "score_")  # on every worker


def started(what: str, *arguments: str) -> "subprocess.Popen[str]":
    """A daemon of the cluster, in this process' group; its log is in the state folder."""
    import pyspark

    command = [str(Path(pyspark.__file__).parent / "bin" / "spark-class")]
    log = (STATE / f"{what}.log").open("w")
    return subprocess.Popen(
        [*command, f"org.apache.spark.deploy.{what.split('-')[0]}", *arguments],
        stdout=log,
        stderr=subprocess.STDOUT,
        text=True,
    )


def master_address(process: "subprocess.Popen[str]") -> str:
    """What the master says it listens on: it takes a free port."""
    for _ in range(120):
        found = re.search(r"spark://127\.0\.0\.1:\d+", (STATE / "master.Master.log").read_text())
        if found:
            return found[0]
        if process.poll() is not None:
            break
        time.sleep(0.5)
    sys.exit(f"the master did not start: {STATE / 'master.Master.log'}")


def build_on(master: str) -> float:
    """Wall seconds of `dbt build` on the cluster, tests included."""
    (STATE / "conf").mkdir()
    (STATE / "events").mkdir()
    (STATE / "conf" / "spark-defaults.conf").write_text(
        f"spark.eventLog.enabled true\nspark.eventLog.dir {(STATE / 'events').as_uri()}\n"
        "spark.executor.memory 2g\nspark.executor.cores 1\n"
    )
    within = environment(
        STATE / "home",
        STATE / "raw",
        INSIGHTERA_SPARK_MASTER=master,
        SPARK_CONF_DIR=str(STATE / "conf"),
        SPARK_LOCAL_IP="127.0.0.1",
    )
    return build("--target", "spark", within=within).seconds


def tasks() -> dict[str, Counter[str]]:
    """Tasks of each dbt node, by executor."""
    work: dict[int, str] = {}
    done: dict[str, Counter[str]] = defaultdict(Counter)
    for log in (STATE / "events").iterdir():
        for line in log.open():
            event = json.loads(line)
            if event["Event"] == "SparkListenerJobStart":
                node = event.get("Properties", {}).get("spark.job.description", "")
                work |= {stage: node.split(".")[-1] for stage in event["Stage IDs"]}
            elif event["Event"] == "SparkListenerTaskEnd":
                done[work[event["Stage ID"]]][event["Task Info"]["Executor ID"]] += 1
    return done


def main() -> None:
    """Start the cluster, build, stop it, and tell."""
    from ml.raw.demo.generate import generate

    shutil.rmtree(STATE, ignore_errors=True)
    STATE.mkdir(parents=True)
    generate(STUDENTS, 1, STATE / "raw", file_format="parquet")
    loopback = ("--host", "127.0.0.1", "--webui-port", "0")
    daemons = [started("master.Master", *loopback, "--port", "0")]
    try:
        master = master_address(daemons[0])
        for number in range(WORKERS):
            folder = ("--work-dir", str(STATE / f"work-{number}"))
            worker = (*loopback, "--cores", "1", "--memory", "3g", *folder, master)
            daemons.append(started(f"worker.Worker-{number}", *worker))
        seconds = build_on(master)
    finally:
        for daemon in reversed(daemons):
            daemon.terminate()
            daemon.wait()
    done = tasks()
    executors = sorted({executor for by in done.values() for executor in by} - {"driver"})
    lines = [
        "# A Spark cluster of two workers",
        "",
        "`make bench-cluster` wrote this: a standalone master and two workers of one core each on the loopback, "
        f"{STUDENTS:,} generated students, one `dbt build --target spark` with all its tests, green after "
        f"{seconds:.0f} s. Python {platform.python_version()}, {os.cpu_count()} cores in all. "
        "Tasks by executor, from Spark's event log:",
        "",
        f"| node | {' | '.join(f'executor {name}' for name in executors)} |",
        f"|---|{'---|' * len(executors)}",
    ]
    for node in sorted(node for node in done if node.startswith(SHOWN)):
        lines.append(f"| {node} | {' | '.join(str(done[node][name]) for name in executors)} |")
    text = "\n".join(lines) + "\n"
    print(text)
    (PROJECT / "benchmarks" / "cluster.md").write_text(text)
    alone = [
        n for n, by in done.items() if n.startswith(MUST) and len(set(by) - {"driver"}) < WORKERS
    ]
    if len(executors) < WORKERS or alone:
        sys.exit(f"not on both workers: {alone or 'anything'}")


if __name__ == "__main__":
    main()
