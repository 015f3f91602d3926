"""Starts Superset over the serving file: what has to be there, what a person is told where it is
not, and the environment that `superset/superset_config.py` reads.
"""

import errno
import ipaddress
import os
import secrets
import socket
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ml.core import settings
from ml.core.errors import InsighteraError

SCRIPT = settings.PROJECT / "superset" / "serve.py"


@dataclass(frozen=True)
class Start:
    """A command and its environment."""

    command: tuple[str, ...]
    environment: Mapping[str, str]


def python() -> Path:
    """The interpreter of Superset's own environment."""
    folder = os.environ.get("INSIGHTERA_SUPERSET_VENV", "") or settings.PROJECT / ".venv-superset"
    return Path(folder) / "bin" / "python"


def state() -> Path:
    """Superset's own state: metadata store, keys, log."""
    return settings.home() / "superset"


def prepare(host: str, port: int, *, workers: int, threads: int) -> Start:
    """Look at everything that could be wrong before Superset takes its seconds to start.

    Raises InsighteraError where it can not be served, with what to do.
    """
    _need_environment()
    _need_serving_file()
    _need_free_port(host, port)
    state().mkdir(parents=True, exist_ok=True)
    metadata = os.environ.get("INSIGHTERA_SUPERSET_URI", "")
    _need_metadata_store(metadata)
    demo = not metadata and _is_loopback(host)
    arguments = ["--bind", f"{host}:{port}", "--state", str(state())]
    arguments += ["--workers", str(workers), "--threads", str(threads)]
    arguments += ["--demo"] if demo else []
    environment = os.environ | {
        "INSIGHTERA_HOME": str(settings.home()),
        "SUPERSET_SECRET_KEY": os.environ.get("SUPERSET_SECRET_KEY", "") or _secret_key(demo),
        "SUPERSET_HOME": str(state()),
        "FLASK_APP": "superset",
        "PYTHONWARNINGS": "ignore",
        # No page tells a third party that it was looked at.
        "SCARF_ANALYTICS": "false",
    }
    # The project's own Python settings are not Superset's.
    for name in ("PYTHONPATH", "VIRTUAL_ENV", "PYTHONHOME", "SUPERSET_CONFIG_PATH"):
        environment.pop(name, None)
    return Start((str(python()), str(SCRIPT), *arguments), environment)


def _need_environment() -> None:
    if not python().exists():
        raise InsighteraError(
            f"Superset's environment {python().parent.parent} is missing. `make dashboards` "
            "installs it from requirements/superset.lock."
        )


def _need_serving_file() -> None:
    if settings.serving().exists():
        return
    if settings.warehouse().exists():
        raise InsighteraError(
            f"{settings.serving()} is missing, though there was a build: its last step writes that "
            "file once the audit has passed. Run `make build` again and read how it ends."
        )
    raise InsighteraError(
        f"No build yet in {settings.home()}: run `make build` first. (A build elsewhere? Set "
        "INSIGHTERA_HOME or INSIGHTERA_RAW as it was then.)"
    )


def _need_free_port(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise InsighteraError(
                    f"Cannot listen on {host}:{port}: {error.strerror}."
                ) from error
            raise InsighteraError(
                f"Port {port} on {host} is taken, perhaps by dashboards that are still being "
                f"served: look at http://{host}:{port}, or choose another port with "
                "`make dashboards PORT=8089`."
            ) from error


def _need_metadata_store(uri: str) -> None:
    """Ask the store once: a wrong password is told before Superset's own long traceback."""
    if not uri:
        return
    # by environment: a command line, and so a password on it, is seen by everyone on the machine
    question = (
        "import os, sqlalchemy;"
        "sqlalchemy.create_engine(os.environ['INSIGHTERA_SUPERSET_URI']).connect().close()"
    )
    answer = subprocess.run(  # noqa: S603
        [str(python()), "-c", question], capture_output=True, text=True, check=False
    )
    if answer.returncode:
        lines = [line for line in answer.stderr.strip().splitlines() if line.strip()]
        told = [line for line in lines if "FATAL" in line or "Error" in line]
        raise InsighteraError(
            f"INSIGHTERA_SUPERSET_URI: the metadata store does not answer: {(told or lines)[-1]} "
            "Its form: postgresql+psycopg2://USER:PASSWORD@HOST/DATABASE."
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _secret_key(demo: bool) -> str:
    """The demo's key: random, made once, in the home and readable for its owner only."""
    if not demo:
        raise InsighteraError(
            "SUPERSET_SECRET_KEY is not set. With a metadata store of your own, or on an address "
            "that others reach, sessions need a key that you keep: "
            "export SUPERSET_SECRET_KEY=$(openssl rand -base64 42)"
        )
    file = state() / "secret_key"
    if not file.exists():
        handle = os.open(file, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as stream:
            stream.write(secrets.token_urlsafe(48))
    return file.read_text()
