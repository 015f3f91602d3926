"""dbt on open-source Spark: one session in dbt's own process, Iceberg tables, Python models."""

from dbt.adapters.base import AdapterPlugin
from dbt.adapters.icespark.connections import IcesparkCredentials
from dbt.adapters.icespark.impl import IcesparkAdapter
from dbt.include import icespark

Plugin = AdapterPlugin(
    adapter=IcesparkAdapter,  # type: ignore[arg-type]
    credentials=IcesparkCredentials,
    include_path=icespark.PACKAGE_PATH,
    dependencies=["spark"],
)
