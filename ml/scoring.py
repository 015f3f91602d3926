"""Scores what changed and writes it to an audit branch; `publishing` moves `main` once it is
tested.

The columns of a prediction table follow from the use case: entity keys, attributes, `risk_score`,
`<outcome>_probability`, `risk_category`, `predicted_<outcome>`, then where the row came from.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ml import lake, predictions
from ml.errors import InsighteraError
from ml.sql import identifier, identifiers, text
from ml.use_case import Build, UseCase

if TYPE_CHECKING:  # it imports MLflow: only where there is something to score
    from ml.registry import Champion

BATCH_ROWS = 100_000  # some 300 MB at twenty features; one snapshot of the audit branch each
FACTORS = 5
LIKELY = 0.5  # probabilities are calibrated: above a half, it is more likely than not
DECIMALS = 6  # of probabilities and contributions: what batches of other sizes compute alike

ENTITY = "entity_number"
# Columns of a feature table that are no features but would collide with another table's in the
# join.
VALIDITY = ("valid_from", "valid_to", "system_from", "system_to")


@dataclass(frozen=True)
class Candidates:
    """Who could be scored, and who has to be, as tables of `connection`.

    `pending` holds entity keys, the model's features, feature_timestamp and feature_hash of those
    whose features, or whose model, are not the ones of their latest prediction.
    """

    connection: duckdb.DuckDBPyConnection
    population: int
    pending: int
    inference_type: str  # full | incremental


def score(
    name: str,
    *,
    build: duckdb.DuckDBPyRelation,
    spine: duckdb.DuckDBPyRelation,
    features: Mapping[str, duckdb.DuckDBPyRelation],
    attributes: duckdb.DuckDBPyRelation,
    trained: object = None,  # noqa: ARG001  (its presence orders the dbt models)
    connection: duckdb.DuckDBPyConnection,
    batch_rows: int = BATCH_ROWS,
) -> pa.Table:
    """Score the entities at `as_of` whose features or model changed; what this run wrote, read
    back.

    `build` is the one row of `this_build`; `spine` has the entity keys and `cutoff` (those with
    cutoff = as_of are the population); `features` are feature tables by name; `attributes` has one
    row per entity.

    The rows go to the branch `audit_<run>` of the use case's Iceberg table, a batch at a time, and
    are read back from it. An entity is left out where its latest prediction at or before `as_of`
    comes from the same model version and the same `feature_hash`. Without a champion, or with
    nothing to do: no rows, no snapshot, and neither model nor SHAP is loaded. Raises
    InsighteraError where a feature of the champion is missing from the tables, or an entity has
    several rows of attributes.
    """
    from ml import registry

    run, use_case = _build(name, build)
    empty = output_schema(use_case, spine, attributes).empty_table()
    chosen = registry.champion_entry(name)
    if chosen is None:
        print(f"{name}: no champion yet, nothing is scored. The training model promotes one.")
        return empty
    version, columns = chosen.version, chosen.features
    table = use_case.output_table
    main = lake.head(table) if lake.exists(table) else None
    joined = _joined(run, use_case, spine, features, columns, connection)
    with duckdb.connect() as work:
        found = _candidates(work, joined, run, use_case, columns, version, main)
        if found.pending == 0:
            print(f"{name}: nothing changed for {found.population:,} entities (version {version}).")
            return empty
        champion = registry.load(name, version)
        work.register("attributes", _attributes(use_case, attributes))
        return _write(found, champion, run, use_case, empty.schema, main, batch_rows)


def audit_branch(build: Build) -> str:
    """The branch that holds a run's rows until they are published."""
    return f"audit_{build.run_id.replace('-', '')}"


def output_schema(
    use_case: UseCase,
    spine: duckdb.DuckDBPyRelation,
    attributes: duckdb.DuckDBPyRelation,
) -> pa.Schema:
    """The prediction table's columns; keys and attributes have the types of the relations."""
    keys = spine.project(identifiers(use_case.entity_keys)).limit(0).to_arrow_table().schema
    known = attributes.project(identifiers(use_case.attributes)).limit(0).to_arrow_table().schema
    stamp = pa.timestamp("us")
    own = pa.schema(
        [
            ("risk_score", pa.float64()),
            (f"{use_case.outcome}_probability", pa.float64()),
            ("risk_category", pa.string()),
            (f"predicted_{use_case.outcome}", pa.bool_()),
            ("contributing_factors", pa.string()),
            ("feature_timestamp", stamp),
            ("feature_hash", pa.string()),
            ("model_name", pa.string()),
            ("model_version", pa.string()),
            ("inference_type", pa.string()),
            ("run_id", pa.string()),
            ("prediction_timestamp", stamp),
            ("prediction_date", pa.date32()),
        ]
    )
    return lake.compatible(pa.schema([*keys, *known, *own]))


def _build(name: str, build: duckdb.DuckDBPyRelation) -> tuple[Build, UseCase]:
    run = Build.read(build)
    return run, run.use_case(name)


def _joined(
    run: Build,
    use_case: UseCase,
    spine: duckdb.DuckDBPyRelation,
    features: Mapping[str, duckdb.DuckDBPyRelation],
    columns: tuple[str, ...],
    connection: duckdb.DuckDBPyConnection,
) -> pa.Table:
    """The population with the model's features as they were known at `as_of`, nothing wider."""
    from ml.features import point_in_time_join

    instant = f"cutoff = timestamp '{run.as_of.isoformat()}'"
    keys = identifiers(use_case.entity_keys)
    population = spine.filter(instant).project(f"{keys}, cutoff").to_arrow_table()
    # The join is faster on numbers, and on the population's versions only.
    numbers = pa.array(np.arange(population.num_rows, dtype=np.int32))
    population = population.append_column(ENTITY, numbers)
    numbered = connection.from_arrow(population).set_alias("population")
    same = " and ".join(
        f"versions.{identifier(k)} = population.{identifier(k)}" for k in use_case.entity_keys
    )
    holders: dict[str, list[str]] = {}
    for table, relation in features.items():
        for column in relation.columns:
            if column not in (*use_case.entity_keys, *VALIDITY):
                holders.setdefault(column, []).append(table)
    narrowed: dict[str, duckdb.DuckDBPyRelation] = {}
    found: set[str] = set()
    for table, relation in features.items():
        read = {}
        for column in relation.columns:
            if table in holders.get(column, []):
                # the join's rule, in training: a name found twice carries its table's
                shared = len(holders[column]) > 1 or column in spine.columns
                read[f"{table}__{column}" if shared else column] = column
        read = {name: column for name, column in read.items() if name in columns}
        if not read:
            continue
        found.update(read)
        if "feature_timestamp" in relation.columns:
            read[f"{table}__recorded"] = "feature_timestamp"
        read |= {column: column for column in VALIDITY if column in relation.columns}
        wanted = [f"versions.{identifier(held)} as {identifier(n)}" for n, held in read.items()]
        holding = _holding(relation, run).set_alias("versions").join(numbered, same)
        narrowed[table] = holding.project(", ".join([identifier(ENTITY), *wanted]))
    lost = [column for column in columns if column not in found]
    if lost:
        raise InsighteraError(
            f"{use_case.name}: the champion reads {lost}, which none of the feature tables "
            f"{', '.join(features)} has any more. Bring the columns back, or train again "
            "(`--vars 'retrain: always'`)."
        )
    return point_in_time_join(
        population,
        narrowed,
        entity_keys=[ENTITY],
        timestamp="cutoff",
        known_at="cutoff",
    )


def _holding(relation: duckdb.DuckDBPyRelation, run: Build) -> duckdb.DuckDBPyRelation:
    """Versions that can hold at `as_of`: the join decides, but need not read years of history."""
    instant = f"timestamp '{run.as_of.isoformat()}'"
    holding = relation.filter(f"valid_from <= {instant}")
    if "valid_to" in relation.columns:
        holding = holding.filter(f"valid_to is null or valid_to > {instant}")
    return holding


def _candidates(
    work: duckdb.DuckDBPyConnection,
    joined: pa.Table,
    run: Build,
    use_case: UseCase,
    columns: tuple[str, ...],
    version: str,
    main: int | None,
) -> Candidates:
    """Hash everyone's features, and keep in `pending` those whose latest prediction is not of
    them."""
    keys = identifiers(use_case.entity_keys)
    work.register("joined", joined)
    recorded = [identifier(name) for name in joined.column_names if name.endswith("__recorded")]
    newest = f"greatest({', '.join(recorded)})" if recorded else "null"
    hashed = f"""
        select
            {keys},
            {identifiers(columns)},
            cast({newest} as timestamp) as feature_timestamp,
            md5(cast(json_array({identifiers(columns)}) as varchar)) as feature_hash
        from joined
    """  # noqa: S608
    work.register("scored", _scored_before(use_case, run, main))
    # `already`: at this very instant by this version. Such a row stands, whatever the features say
    # now: one prediction per entity, instant and version.
    work.execute(
        f"""
        create table latest as
        select
            {keys},
            arg_max(model_version || ' ' || feature_hash, {predictions.LATEST}) as prediction,
            bool_or(model_version = $version) as is_known_to_version,
            bool_or(model_version = $version and prediction_timestamp = $run_at) as already
        from scored
        group by {keys}
        """,  # noqa: S608
        {"version": version, "run_at": run.as_of},
    )
    on = " and ".join(
        f"hashed.{identifier(k)} = latest.{identifier(k)}" for k in use_case.entity_keys
    )
    work.execute(
        f"""
        create table pending as
        with hashed as ({hashed})
        select hashed.*
        from hashed
        -- a left join and a filter: an anti join on more than equality is a nested loop in DuckDB
        left join latest on {on}
        where not coalesce(latest.already, false)
            and latest.prediction is distinct from $version || ' ' || hashed.feature_hash
        order by {", ".join(f"hashed.{identifier(k)}" for k in use_case.entity_keys)}
        """,  # noqa: S608
        {"version": version},
    )
    pending, full = work.execute(
        """
        select
            (select count(*) from pending),
            (select count(*) from latest where is_known_to_version) = 0
        """
    ).fetchall()[0]
    work.unregister("scored")
    return Candidates(work, joined.num_rows, pending, "full" if full else "incremental")


def _scored_before(use_case: UseCase, run: Build, main: int | None) -> pa.RecordBatchReader:
    """Who was scored, when, by which version, from which features: four narrow columns of
    `main`."""
    columns = [*use_case.entity_keys, "feature_hash", "prediction_timestamp", "model_version"]
    if main is None:
        names = [(name, pa.string()) for name in columns if name != "prediction_timestamp"]
        schema = pa.schema([*names, ("prediction_timestamp", pa.timestamp("us"))])
        return pa.RecordBatchReader.from_batches(schema, iter(()))
    return lake.read(
        use_case.output_table,
        snapshot=main,
        columns=columns,
        at_most={"prediction_timestamp": run.as_of},
    )


def _attributes(use_case: UseCase, attributes: duckdb.DuckDBPyRelation) -> pa.Table:
    wanted = identifiers((*use_case.entity_keys, *use_case.attributes))
    return attributes.project(wanted).to_arrow_table()


def _write(
    found: Candidates,
    champion: "Champion",
    run: Build,
    use_case: UseCase,
    schema: pa.Schema,
    main: int | None,
    batch_rows: int,
) -> pa.Table:
    """Score `pending` into the audit branch, which starts at the `main` that was compared with."""
    table, branch = use_case.output_table, audit_branch(run)
    lake.ensure(
        table,
        schema,
        ["prediction_date"],
        {
            predictions.ENTITY_KEYS: json.dumps(use_case.entity_keys),
            predictions.OUTCOME: use_case.outcome,
        },
    )
    lake.drop_branch(table, branch)  # of an earlier attempt of this run: half of it may be missing
    lake.create_branch(table, branch, main)
    summary = {**lake.lineage(run, champion.version), "model-name": champion.name}
    onto, written = main, 0
    for batch in _batches(found, batch_rows):
        rows = _predicted(found, champion, run, use_case, batch, schema)
        onto = lake.append(table, rows, summary, branch=branch, onto=onto)
        written += rows.num_rows
    print(
        f"{use_case.name}: {written:,} of {found.population:,} entities scored by version "
        f"{champion.version} ({found.inference_type}) into branch {branch} of "
        f"{lake.NAMESPACE}.{table}. To read it: insightera predictions show --branch {branch}"
    )
    return lake.read_table(
        table, branch=branch, equal={"run_id": run.run_id, "prediction_date": run.as_of.date()}
    )


def _batches(found: Candidates, rows: int) -> Iterator[pa.Table]:
    """`pending`, `rows` at a time, read on a cursor so that its connection stays free meanwhile."""
    reader = found.connection.cursor().execute("from pending").to_arrow_reader(rows)
    held: list[pa.RecordBatch] = []
    count = 0
    for batch in reader:
        held.append(batch)
        count += batch.num_rows
        if count >= rows:
            yield pa.Table.from_batches(held)
            held, count = [], 0
    if count:
        yield pa.Table.from_batches(held)


def _predicted(
    found: Candidates,
    champion: "Champion",
    run: Build,
    use_case: UseCase,
    batch: pa.Table,
    schema: pa.Schema,
) -> pa.Table:
    """Prediction rows of one batch, with the columns of `schema`."""
    from ml.explain import contributions
    from ml.pipeline import frame, one_thread

    read = frame(batch, champion.features)
    with one_thread():
        probability = np.asarray(champion.pipeline.predict_proba(read), dtype=np.float64)[:, 1]
    top, shares = strongest(np.asarray(contributions(champion, read), dtype=np.float64), FACTORS)
    scored = batch.append_column(
        "probability", pa.array(np.clip(probability.round(DECIMALS), 0.0, 1.0))
    )
    for rank in range(top.shape[1]):
        scored = scored.append_column(
            f"factor_{rank}", pa.array(top[:, rank] + 1)
        )  # SQL counts from 1
        scored = scored.append_column(f"share_{rank}", pa.array(shares[:, rank].round(DECIMALS)))
    found.connection.register("scored", scored)
    rows = found.connection.execute(
        _output_sql(use_case, batch.schema, champion.features, top.shape[1]),
        {
            "model": champion.name,
            "version": champion.version,
            "inference": found.inference_type,
            "run": run.run_id,
            "run_at": run.as_of,
        },
    ).to_arrow_table()
    found.connection.unregister("scored")
    if rows.num_rows != batch.num_rows:
        raise InsighteraError(
            f"{use_case.name}: some of {', '.join(use_case.entity_keys)} have several rows in the "
            "attribute table passed to scoring; it must have one row per entity."
        )
    return rows.cast(schema)


def strongest(
    shares: NDArray[np.float64], count: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Positions and values of the `count` largest |contributions| of each row, largest first.

    `shares`: (rows, features), log-odds. Equal ones keep the order of the features, so that a row's
    factors do not depend on the rows scored beside it. Both results: (rows, min(count, features)).
    """
    order = np.argsort(-np.abs(shares), axis=1, kind="stable")[:, :count]
    return order, np.take_along_axis(shares, order, axis=1)


def _output_sql(
    use_case: UseCase, schema: pa.Schema, features: tuple[str, ...], factors: int
) -> str:
    """The prediction row from `scored` (features, probability, factors) and `attributes`."""
    keys = use_case.entity_keys
    categories = "\n".join(
        f"when probability >= {float(bound)!r} then {text(category)}"
        for category, bound in sorted(use_case.thresholds.items(), key=lambda item: -item[1])
    )
    values = ", ".join(_json_value(schema.field(name)) for name in features)
    names = ", ".join(text(name) for name in features)
    shown = ", ".join(
        f"{{'feature': names[factor_{rank}], 'value': held[factor_{rank}], "
        f"'contribution': share_{rank}}}"
        for rank in range(factors)
    )
    attributes = "".join(f"attributes.{identifier(name)},\n" for name in use_case.attributes)
    on = " and ".join(f"attributes.{identifier(k)} = scored.{identifier(k)}" for k in keys)
    return f"""
        select
            {", ".join(f"scored.{identifier(k)}" for k in keys)},
            {attributes}
            round(100 * probability, {DECIMALS - 2}) as risk_score,
            probability as {identifier(f"{use_case.outcome}_probability")},
            case {categories} end as risk_category,
            probability >= {LIKELY} as {identifier(f"predicted_{use_case.outcome}")},
            cast(to_json([{shown}]) as varchar) as contributing_factors,
            feature_timestamp,
            feature_hash,
            $model as model_name,
            $version as model_version,
            $inference as inference_type,
            $run as run_id,
            cast($run_at as timestamp) as prediction_timestamp,
            cast($run_at as date) as prediction_date
        from (select *, [{values}] as held, [{names}] as names from scored) as scored
        left join attributes on {on}
    """  # noqa: S608


def _json_value(field: pa.Field) -> str:
    """SQL for a feature's value as JSON; JSON has no NaN and no infinity."""
    name: Any = identifier(field.name)
    if pa.types.is_floating(field.type):
        return f"to_json(case when isfinite({name}) then {name} end)"
    return f"to_json({name})"
