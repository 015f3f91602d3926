"""Bring Superset's metadata store up to date, import the dashboards beside this file, and serve.

Run by `insightera dashboards serve` with the interpreter of `.venv-superset`, one process for all
three: starting Superset is what takes time. Each step does nothing where it was done before.
"""

import argparse
import json
import logging
import multiprocessing
import os
import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ASSETS = Path(__file__).parent
KINDS = ("databases", "datasets", "charts", "dashboards")
OWNER = "insightera"  # owns what is imported; it can not log in
DEMO = "demo"
READER = "INSIGHTERA reader"  # beside Gamma: may read the reports
DATABASE_UUID = "5a7b3c1e-90b1-5d2f-8a51-6c1d3e0f7a10"

logger = logging.getLogger("insightera")


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--bind", required=True)
    arguments.add_argument("--workers", type=int, required=True)
    arguments.add_argument("--threads", type=int, required=True)
    arguments.add_argument("--demo", action="store_true", help="make a login and print it")
    arguments.add_argument("--state", type=Path, required=True)
    chosen = arguments.parse_args()
    with _quiet(chosen.state / "superset.log"):
        app = _app()
        login = _in_child(_prepare, app, chosen)
        with app.app_context():
            _release()
        _serve(app, chosen, login)


def say(message: str) -> None:
    """To the person who waits; Superset's own words go to its log."""
    print(message, file=sys.__stdout__, flush=True)


def _app() -> Any:
    from superset.app import create_app

    return create_app()


def _in_child(work: Callable[..., str], *arguments: Any) -> str:
    """Do it in a forked process, and return what it returns. DuckDB's threads must not be there
    when the workers are forked: a child that inherits their handles dies with them.
    """
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)

    def run() -> None:
        try:
            sender.send((work(*arguments), ""))
        except Exception as error:
            logger.exception("not prepared")
            sender.send(("", str(getattr(error, "orig", error)).strip() or repr(error)))

    child = context.Process(target=run)
    child.start()
    sender.close()
    try:
        answer, reason = receiver.recv()
    except EOFError:
        answer, reason = "", "the process that prepared it was killed"
    child.join()
    if reason:
        raise RuntimeError(reason)
    return answer


def _prepare(app: Any, chosen: argparse.Namespace) -> str:
    """Store, dashboards, login; what to say about the login."""
    with app.app_context():
        _migrate(app, chosen.state / "prepared.json")
        counts = _import()
        say(", ".join(f"{number} {kind}" for kind, number in counts.items()) + " up to date.")
        return _demo_login(chosen.state / "demo_password") if chosen.demo else _hint()


def _migrate(app: Any, stamp: Path) -> None:
    """Tables and roles, where this release of Superset has not made them in this store."""
    from alembic.migration import MigrationContext
    from flask_migrate import upgrade
    from superset import appbuilder, db, security_manager

    release = app.config["VERSION_STRING"]
    with db.engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            connection.execute("pragma journal_mode=wal")
        at = MigrationContext.configure(connection).get_current_revision()
    known = json.loads(stamp.read_text()) if stamp.exists() else {}
    done = {"release": release, "revision": at}
    if at is not None and known == done and security_manager.find_role("Gamma"):
        return
    say("Preparing Superset's metadata store (about a minute, once) …")
    upgrade(directory=str(Path(app.root_path) / "migrations"))
    appbuilder.add_permissions(update_perms=True)
    security_manager.sync_role_definitions()
    with db.engine.connect() as connection:
        done["revision"] = MigrationContext.configure(connection).get_current_revision()
    stamp.write_text(json.dumps(done))


def _import() -> dict[str, int]:
    """Databases, datasets, charts and dashboards as their YAML says; what it no longer says goes."""
    from superset import db, security_manager
    from superset.commands.importers.v1.assets import ImportAssetsCommand
    from superset.connectors.sqla.models import SqlaTable
    from superset.models.core import Database
    from superset.models.dashboard import Dashboard
    from superset.models.slice import Slice
    from superset.utils.core import override_user

    contents = {"metadata.yaml": (ASSETS / "metadata.yaml").read_text()}
    for kind in KINDS:
        for path in sorted((ASSETS / kind).rglob("*.yaml")):
            contents[str(path.relative_to(ASSETS))] = path.read_text()
    with override_user(_owner()):
        ImportAssetsCommand(contents).run()
    import yaml

    uuids = {str(yaml.safe_load(text).get("uuid")) for text in contents.values()}
    for model in (Dashboard, Slice, SqlaTable):
        for held in db.session.query(model).filter_by(is_managed_externally=True):
            if str(held.uuid) not in uuids:
                db.session.delete(held)
    role = security_manager.add_role(READER)
    reports = db.session.query(Database).filter_by(uuid=DATABASE_UUID).one()
    grant = security_manager.add_permission_view_menu("database_access", reports.perm)
    security_manager.add_permission_role(role, grant)
    db.session.commit()
    return {kind: sum(name.startswith(f"{kind}/") for name in contents) for kind in KINDS}


def _owner() -> Any:
    """The account that owns the imported; inactive, with a password that nobody knows."""
    from superset import db, security_manager

    user = security_manager.find_user(OWNER)
    if user is None:
        user = security_manager.add_user(
            OWNER,
            "INSIGHTERA",
            "(the repository)",
            "insightera@localhost",
            security_manager.find_role("Admin"),
            password=secrets.token_urlsafe(32),
        )
        user.active = False
        db.session.commit()
    return user


def _demo_login(file: Path) -> str:
    """A reader's login with a random password kept in `file`; what to say about it."""
    from superset import security_manager
    from werkzeug.security import check_password_hash

    user = security_manager.find_user(DEMO)
    if user is not None and file.exists():
        if check_password_hash(user.password, file.read_text().strip()):
            return f"Log in as {DEMO}, password {file.read_text().strip()}"
        return (
            f"The password of {DEMO} is not the one in {file}: it was changed in Superset. "
            "Use that one; or delete the file and start again for a new one."
        )
    password = secrets.token_urlsafe(12)
    handle = os.open(file, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as stream:
        stream.write(password)
    roles = [security_manager.find_role(name) for name in ("Gamma", READER)]
    if user is None:
        security_manager.add_user(
            DEMO, "Demo", "Reader", "demo@localhost", roles, password=password
        )
    else:
        security_manager.reset_password(user.id, password)
    return f"Log in as {DEMO}, password {password}"


def _hint() -> str:
    return (
        "No login is made here: docs/dashboards.md says how to add people "
        f"(roles Gamma and {READER})."
    )


def _release() -> None:
    """No connection may be shared with the workers that are forked next."""
    from superset import db

    db.session.remove()
    db.engine.dispose()


def _serve(app: Any, chosen: argparse.Namespace, login: str) -> None:
    from gunicorn.app.base import BaseApplication

    class Server(BaseApplication):  # type: ignore[misc]
        def load_config(self) -> None:
            settings = {
                "bind": chosen.bind,
                "workers": chosen.workers,
                "threads": chosen.threads,
                "worker_class": "gthread",
                "timeout": 120,
                "preload_app": True,
                "control_socket_disable": True,
                "errorlog": str(chosen.state / "superset.log"),
                "pidfile": str(chosen.state / "server.pid"),
                "when_ready": lambda server: say(  # noqa: ARG005
                    f"\nDashboards: http://{chosen.bind}\n{login}\n(Ctrl-C stops it)"
                ),
            }
            for key, value in settings.items():
                self.cfg.set(key, value)

        def load(self) -> Any:
            return app

    Server().run()


@contextmanager
def _quiet(log: Path) -> Iterator[None]:
    """Superset, its migrations and their warnings speak into the log; errors are shown as well."""
    with log.open("a") as stream:
        sys.stdout = sys.stderr = stream
        logging.basicConfig(stream=stream, level=logging.INFO, force=True)
        try:
            yield
        except Exception as error:
            logger.exception("not served")
            reason = str(getattr(error, "orig", error)).strip() or repr(error)
            print(f"Superset did not start: {reason}\nIts log: {log}", file=sys.__stderr__)
            sys.exit(2)


if __name__ == "__main__":
    main()
