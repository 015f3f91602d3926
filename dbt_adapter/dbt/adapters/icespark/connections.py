"""Every dbt thread talks to the one Spark session of this process."""

from dataclasses import dataclass, field
from typing import Any

from dbt.adapters.contracts.connection import Connection, ConnectionState
from dbt.adapters.spark.connections import (
    SparkConnectionManager,
    SparkConnectionMethod,
    SparkCredentials,
)
from dbt.adapters.spark.session import Cursor, SessionConnectionWrapper
from dbt_common.exceptions import DbtRuntimeError

from ml.core.errors import InsighteraError
from ml.engine import spark_session as spark


@dataclass
class IcesparkCredentials(SparkCredentials):
    """Profile of the target. `settings`: Spark configuration, on top of the project's."""

    host: str | None = "in-process"
    method: SparkConnectionMethod = SparkConnectionMethod.SESSION
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def type(self) -> str:
        """The adapter's name in a profile."""
        return "icespark"

    @property
    def unique_field(self) -> str:
        """What dbt counts targets by; no secret."""
        return self.schema or ""

    def _connection_keys(self) -> tuple[str, ...]:
        return ("schema", "settings")


class SessionCursor(Cursor):
    """dbt-spark's cursor, on the project's session: not on one with Hive, which it would make."""

    def execute(self, sql: str, *parameters: Any) -> None:
        """Run one statement; DDL at once, a query when its rows are fetched."""
        if parameters:
            raise DbtRuntimeError("icespark binds no parameters: write the values into the SQL.")
        self._df = spark.session().sql(sql)


class SessionHandle:
    """What dbt-spark's wrapper asks of a connection."""

    def cursor(self) -> SessionCursor:
        """A cursor of its own for each statement."""
        return SessionCursor()


class IcesparkConnectionManager(SparkConnectionManager):
    """Opens the session with the first connection."""

    TYPE = "icespark"

    @classmethod
    def open(cls, connection: Connection) -> Connection:
        """Start Spark, or say what it lacks."""
        if connection.state == ConnectionState.OPEN:
            return connection
        try:
            spark.open_build(connection.credentials.settings)
        except InsighteraError as error:
            raise DbtRuntimeError(str(error)) from error
        spark.describe(connection.name or "")
        connection.handle = SessionConnectionWrapper(SessionHandle())
        connection.state = ConnectionState.OPEN
        return connection

    def set_connection_name(self, name: str | None = None) -> Connection:
        """dbt names a connection after the node at work: so do Spark's pages and event log."""
        connection = super().set_connection_name(name)
        spark.describe(connection.name or "")
        return connection

    def cleanup_all(self) -> None:
        """dbt is done: so is the build."""
        super().cleanup_all()
        spark.close_build()
