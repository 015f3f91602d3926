"""The adapter: dbt-spark's, for a catalog of Iceberg tables and for Python models in the session."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dbt.adapters.base import PythonJobHelper, available
from dbt.adapters.base.relation import BaseRelation
from dbt.adapters.contracts.connection import AdapterResponse
from dbt.adapters.contracts.relation import RelationType
from dbt.adapters.icespark.connections import IcesparkConnectionManager
from dbt.adapters.spark.impl import SparkAdapter
from dbt_common.exceptions import DbtRuntimeError

from ml.core.errors import InsighteraError
from ml.engine import spark_session as spark


class SessionPythonJob(PythonJobHelper):
    """Runs a Python model's compiled code where the SQL models run."""

    def __init__(self, parsed_model: Mapping[str, Any], credentials: Any) -> None:  # noqa: ARG002
        self.name = parsed_model["alias"]

    def submit(self, compiled_code: str) -> None:
        """Execute it with the session as `spark`.

        Raises DbtRuntimeError with the model's own words where it refuses to run.
        """
        code = compile(compiled_code, f"<python model {self.name}>", "exec")
        try:
            exec(code, {"spark": spark.session(), "__name__": self.name})  # noqa: S102
        except InsighteraError as error:
            raise DbtRuntimeError(str(error)) from error


class IcesparkAdapter(SparkAdapter):
    """Relations are `schema.table` of the session's default catalog, all of them Iceberg."""

    ConnectionManager = IcesparkConnectionManager

    @classmethod
    def type(cls) -> str:
        """Name in profiles and in `adapter.dispatch`."""
        return "icespark"

    @property
    def default_python_submission_method(self) -> str:
        """There is one."""
        return "session"

    @property
    def python_submission_helpers(self) -> dict[str, type[PythonJobHelper]]:
        """By name."""
        return {"session": SessionPythonJob}

    def generate_python_submission_response(self, submission_result: Any) -> AdapterResponse:  # noqa: ARG002
        """What dbt prints beside the model."""
        return AdapterResponse(_message="OK")

    def list_relations_without_caching(self, schema_relation: BaseRelation) -> list[BaseRelation]:
        """Tables and views of a schema: one statement each, none per table.

        dbt-spark's way describes every table, and sees no view of an Iceberg catalog.
        """
        schema = schema_relation.schema
        return [
            self.Relation.create(
                schema=schema,
                identifier=name,
                type=RelationType.View if kind == "view" else RelationType.Table,
                is_iceberg=True,
                information="",
            )
            for name, kind in spark.relations(schema)
        ]

    @available
    def load_csv(self, relation: BaseRelation, path: str) -> None:
        """Make a table of a CSV file, every column text: what a raw table is."""
        spark.load_csv(relation.schema, relation.identifier, path)
