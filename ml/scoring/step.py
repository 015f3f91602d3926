"""Scores what changed and writes it to an audit branch; `publishing` moves `main` once it is
tested.

The columns of a prediction table follow from the use case: entity keys, attributes, `risk_score`,
`<outcome>_probability`, `risk_category`, `predicted_<outcome>`, then where the row came from.
"""

import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ml import engine, lake, registry
from ml.core.errors import InsighteraError
from ml.core.sql import identifier, identifiers, text
from ml.core.use_case import Build, UseCase
from ml.engine import BATCH_ROWS, Engine, Frame, literal
from ml.features import VALIDITY, point_in_time_join
from ml.lake import prediction_tables

FACTORS = 5
LIKELY = 0.5  # probabilities are calibrated: above a half, it is more likely than not
DECIMALS = 6  # of probabilities and contributions: what batches of other sizes compute alike
STAMP = pa.timestamp("us")


def score(
    name: str,
    *,
    build: Frame,
    spine: Frame,
    features: Mapping[str, Frame],
    attributes: Frame,
    trained: object = None,  # noqa: ARG001  (its presence orders the dbt models)
    connection: Any,
    batch_rows: int = BATCH_ROWS,
) -> Frame:
    """Score the entities at `as_of` whose features or model changed; what this run wrote, read
    back.

    `build` is the one row of `this_build`; `spine` has the entity keys and `cutoff` (those with
    cutoff = as_of are the population); `features` are feature tables by name; `attributes` has one
    row per entity. All are of `connection`, which dbt calls the session: DuckDB's, or Spark's.

    The rows go to the branch `audit_<run>` of the use case's Iceberg table, a batch at a time, and
    are read back from it. An entity is left out where its latest prediction at or before `as_of`
    comes from the same model version and the same `feature_hash`. Without a champion, or with
    nothing to do: no rows, no snapshot, and neither model nor SHAP is loaded. Raises
    InsighteraError where a feature of the champion is missing from the tables, or an entity has
    several rows of attributes.
    """
    run = Build.read(build)
    use_case = run.use_case(name)
    with engine.opened(connection) as on:
        schema = output_schema(on, use_case, spine, attributes)
        chosen = registry.champion_entry(name)
        if chosen is None:
            print(f"{name}: no champion yet, nothing is scored. The training model promotes one.")
            return schema.empty_table()
        table = use_case.output_table
        main = lake.head(table) if lake.exists(table) else None
        hashed = _hashed(on, run, use_case, spine, features, chosen)
        pending, latest = _pending(on, run, use_case, hashed, attributes, chosen, main)
        population = on.count(spine, f"cutoff = {literal(run.as_of)}")
        due = _due(on, use_case, pending)
        if due == 0:
            print(
                f"{name}: nothing changed for {population:,} entities (version {chosen.version})."
            )
            return schema.empty_table()
        kind = "incremental" if on.count(latest, "is_known_to_version") else "full"
        predict = partial(
            predicted,
            champion=on.shared(registry.load(name, chosen.version)),
            use_case=use_case,
            values={
                "model": chosen.name,
                "version": chosen.version,
                "inference": kind,
                "run": run.run_id,
                "run_at": run.as_of,
            },
            schema=schema,
        )
        rows = on.mapped(pending, predict, schema, rows=batch_rows)
        written = _write(on, run, use_case, rows, chosen, main)
        branch = prediction_tables.audit_branch(run)
        print(
            f"{name}: {written:,} of {population:,} entities scored by version {chosen.version} "
            f"({kind}) into branch {branch} of {lake.NAMESPACE}.{table}. To read it: insightera "
            f"predictions show --branch {branch}"
        )
        own = {"run_id": run.run_id, "prediction_date": run.as_of.date()}
        return on.answer(on.read(table, branch=branch, equal=own))


def output_schema(on: Engine, use_case: UseCase, spine: Frame, attributes: Frame) -> pa.Schema:
    """The prediction table's columns; keys and attributes have the types of the relations."""
    own = pa.schema(
        [
            ("risk_score", pa.float64()),
            (f"{use_case.outcome}_probability", pa.float64()),
            ("risk_category", pa.string()),
            (f"predicted_{use_case.outcome}", pa.bool_()),
            ("contributing_factors", pa.string()),
            ("feature_timestamp", STAMP),
            ("feature_hash", pa.string()),
            ("model_name", pa.string()),
            ("model_version", pa.string()),
            ("inference_type", pa.string()),
            ("run_id", pa.string()),
            ("prediction_timestamp", STAMP),
            ("prediction_date", pa.date32()),
        ]
    )
    keys = on.schema(spine, use_case.entity_keys)
    return lake.compatible(pa.schema([*keys, *on.schema(attributes, use_case.attributes), *own]))


def _hashed(
    on: Engine,
    run: Build,
    use_case: UseCase,
    spine: Frame,
    features: Mapping[str, Frame],
    chosen: registry.Version,
) -> Frame:
    """The population with the model's features as they were known at `as_of`, and their digest."""
    reads = _reads(on, use_case, spine, features, chosen.features)
    joined = on.joined_at(
        spine, features, reads, use_case.entity_keys, run.as_of, point_in_time_join
    )
    held = [*use_case.entity_keys, *chosen.features]
    own = [("feature_timestamp", STAMP), ("feature_hash", pa.string())]
    schema = lake.compatible(pa.schema([*on.schema(joined, held), *own]))
    return on.mapped(joined, partial(with_hash, features=chosen.features, schema=schema), schema)


def with_hash(joined: pa.Table, *, features: Sequence[str], schema: pa.Schema) -> pa.Table:
    """Of a batch the columns of `schema`: what is there, when the newest was recorded, and the
    digest of the features as the model reads them.
    """
    from ml.features.model_input import digest

    recorded = [name for name in joined.column_names if name.endswith("__recorded")]
    stamps = [joined[name].cast(STAMP) for name in recorded] or [pa.nulls(len(joined), STAMP)]
    return (
        joined.append_column("feature_timestamp", pc.max_element_wise(*stamps))
        .append_column("feature_hash", digest(joined, features))
        .select(schema.names)
        .cast(schema)
    )


def _reads(
    on: Engine,
    use_case: UseCase,
    spine: Frame,
    features: Mapping[str, Frame],
    columns: tuple[str, ...],
) -> dict[str, dict[str, str]]:
    """Of each feature table the columns that the champion reads, {output: column}, with those that
    say what held when; tables that it does not read are left out.
    """
    found = {table: on.columns(frame) for table, frame in features.items()}
    holders: dict[str, list[str]] = {}
    for table, held in found.items():
        for column in held:
            if column not in (*use_case.entity_keys, *VALIDITY):
                holders.setdefault(column, []).append(table)
    reads: dict[str, dict[str, str]] = {}
    taken = on.columns(spine)
    for table, held in found.items():
        for column in held:
            if table in holders.get(column, []):
                # the join's rule, in training: a name found twice carries its table's
                shared = len(holders[column]) > 1 or column in taken
                output = f"{table}__{column}" if shared else column
                if output in columns:
                    reads.setdefault(table, {})[output] = column
    lost = sorted(set(columns) - {output for wanted in reads.values() for output in wanted})
    if lost:
        raise InsighteraError(
            f"{use_case.name}: the champion reads {lost}, which none of the feature tables "
            f"{', '.join(features)} has any more. Bring the columns back, or train again "
            "(`--vars 'retrain: always'`)."
        )
    for table, wanted in reads.items():
        if "feature_timestamp" in found[table]:
            wanted[f"{table}__recorded"] = "feature_timestamp"
        wanted |= {column: column for column in VALIDITY if column in found[table]}
    return reads


def _pending(
    on: Engine,
    run: Build,
    use_case: UseCase,
    hashed: Frame,
    attributes: Frame,
    chosen: registry.Version,
    main: int | None,
) -> tuple[Frame, Frame]:
    """Those whose latest prediction is not of these features by this model, with their attributes
    (`attribute_1`, ...); and everyone's latest prediction.
    """
    keys = on.quoted(*use_case.entity_keys)
    # `feature_hash`: empty where another version made the prediction, which then counts for nothing.
    # `already`: at this very instant by this version. Such a row stands, whatever the features say
    # now: one prediction per entity, instant and version.
    latest = on.kept(
        f"""
        select
            {keys},
            max_by(
                case when model_version = $version then feature_hash else '' end,
                {prediction_tables.LATEST}
            ) as feature_hash,
            bool_or(model_version = $version) as is_known_to_version,
            bool_or(
                model_version = $version and prediction_timestamp = cast($run_at as timestamp)
            ) as already
        from scored
        group by {keys}
        """,  # noqa: S608
        {"version": chosen.version, "run_at": run.as_of.isoformat(sep=" ")},
        scored=_scored_before(on, use_case, run, main),
    )
    shown = "".join(
        f", attributes.{on.quoted(name)} as attribute_{number}"
        for number, name in enumerate(use_case.attributes, start=1)
    )
    pending = on.kept(
        f"""
        select hashed.*{shown}
        from hashed
        -- a left join and a filter: an anti join on more than equality is a nested loop in DuckDB
        left join latest on {_same(on, use_case, "latest")}
        left join attributes on {_same(on, use_case, "attributes")}
        where not coalesce(latest.already, false)
            and latest.feature_hash is distinct from hashed.feature_hash
        order by {", ".join(f"hashed.{on.quoted(key)}" for key in use_case.entity_keys)}
        """,  # noqa: S608
        hashed=hashed,
        latest=latest,
        attributes=attributes,
    )
    return pending, latest


def _same(on: Engine, use_case: UseCase, other: str) -> str:
    return " and ".join(
        f"hashed.{on.quoted(key)} = {other}.{on.quoted(key)}" for key in use_case.entity_keys
    )


def _due(on: Engine, use_case: UseCase, pending: Frame) -> int:
    """How many are pending, each once."""
    query = (
        f"select count(*) as due, count(distinct ({on.quoted(*use_case.entity_keys)})) as entities "  # noqa: S608
        "from pending"
    )
    found = on.arrow(on.sql(query, pending=pending)).to_pylist()[0]
    if found["due"] != found["entities"]:
        raise InsighteraError(
            f"{use_case.name}: some of {', '.join(use_case.entity_keys)} have several rows in the "
            "attribute table passed to scoring; it must have one row per entity."
        )
    return int(found["due"])


def _scored_before(on: Engine, use_case: UseCase, run: Build, main: int | None) -> Frame:
    """Who was scored, when, by which version, from which features: four narrow columns of
    `main`."""
    columns = [*use_case.entity_keys, "feature_hash", "prediction_timestamp", "model_version"]
    if main is None:
        names = [(name, pa.string()) for name in columns if name != "prediction_timestamp"]
        return pa.schema([*names, ("prediction_timestamp", STAMP)]).empty_table()
    at_most = {"prediction_timestamp": run.as_of}
    return on.read(use_case.output_table, snapshot=main, columns=columns, at_most=at_most)


def _write(
    on: Engine,
    run: Build,
    use_case: UseCase,
    rows: Frame,
    chosen: registry.Version,
    main: int | None,
) -> int:
    """Rows into the audit branch, which starts at the `main` that was compared with; how many."""
    table, branch = use_case.output_table, prediction_tables.audit_branch(run)
    lake.ensure(
        table,
        on.schema(rows, on.columns(rows)),
        ["prediction_date"],
        {
            prediction_tables.ENTITY_KEYS: json.dumps(use_case.entity_keys),
            prediction_tables.OUTCOME: use_case.outcome,
        },
    )
    lake.drop_branch(table, branch)  # of an earlier attempt of this run: half of it may be missing
    lake.create_branch(table, branch, main)
    summary = {**lake.lineage(run, chosen.version), "model-name": chosen.name}
    return on.append(table, rows, summary, branch=branch, onto=main)


def predicted(
    batch: pa.Table,
    *,
    champion: Any,
    use_case: UseCase,
    values: Mapping[str, Any],
    schema: pa.Schema,
) -> pa.Table:
    """Prediction rows of one batch of what is pending, with the columns of `schema`.

    `champion`: what `Engine.shared` made of a registered model. `values`: of every row.
    """
    from ml.features.model_input import frame
    from ml.tasks.estimators import one_thread
    from ml.tasks.explain import contributions

    model = champion.value
    read = frame(batch, model.features)
    with one_thread():
        probability = np.asarray(model.pipeline.predict_proba(read), dtype=np.float64)[:, 1]
    top, shares = strongest(np.asarray(contributions(model, read), dtype=np.float64), FACTORS)
    scored = batch.append_column(
        "probability", pa.array(np.clip(probability.round(DECIMALS), 0.0, 1.0))
    )
    for rank in range(top.shape[1]):
        scored = scored.append_column(
            f"factor_{rank}", pa.array(top[:, rank] + 1)
        )  # SQL counts from 1
        scored = scored.append_column(f"share_{rank}", pa.array(shares[:, rank].round(DECIMALS)))
    query = _output_sql(use_case, batch.schema, model.features, top.shape[1])
    with duckdb.connect() as work:
        work.register("scored", scored)
        return work.execute(query, dict(values)).to_arrow_table().cast(schema)


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
    """The prediction row from `scored`: keys, features, attributes, probability, factors."""
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
    attributes = "".join(
        f"attribute_{number} as {identifier(name)},\n"
        for number, name in enumerate(use_case.attributes, start=1)
    )
    return f"""
        select
            {identifiers(use_case.entity_keys)},
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
    """  # noqa: S608


def _json_value(field: pa.Field) -> str:
    """SQL for a feature's value as JSON; JSON has no NaN and no infinity."""
    name: Any = identifier(field.name)
    if pa.types.is_floating(field.type):
        return f"to_json(case when isfinite({name}) then {name} end)"
    return f"to_json({name})"
