"""Scores what changed and writes it to an audit branch; `publishing` moves `main` once it is
tested.

The columns of a prediction table follow from the use case: entity keys, what else an answer is
about, attributes, the task's own outputs, then where the row came from.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ml import engine, lake, registry, tasks
from ml.core import memory
from ml.core.errors import InsighteraError
from ml.core.sql import identifier, identifiers, text
from ml.core.turns import turn
from ml.core.use_case import Build, UseCase
from ml.engine import BATCH_ROWS, Engine, Frame, Read, literal
from ml.features import SINCE, VALIDITY, point_in_time_join, readings
from ml.features.model_input import Sight
from ml.lake import prediction_tables
from ml.tasks.protocol import Task

FACTORS = 5
STANDS = timedelta(days=30)  # how long an answer may stand; older ones are not even read
WITHIN = ("value", "lower", "upper")  # roles of what may move within the tolerance
DERIVED = ("score", "target")  # roles of what follows from others, or names the answer
STAMP = pa.timestamp("us")
RECORDED = "__recorded"  # ends the names of columns that say when what is read was recorded


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
    comes from the same model version and the same `feature_hash`. Without a champion, with
    nothing to do, or for a use case that the build refused: no rows, no snapshot, and neither model
    nor SHAP is loaded. Raises InsighteraError where a feature of the champion is missing from the
    tables, or an entity has several rows of attributes.
    """
    run = Build.read(build)
    if name in run.refused:
        return _nothing(run, name, spine, attributes, connection)
    task = tasks.of(run.use_case(name))
    use_case = task.use_case
    with engine.opened(connection) as on:
        task.refuse_lacking(on.columns(spine))
        shown = _shown(on, use_case, attributes)
        schema = output_schema(on, task, spine, attributes)
        chosen = registry.champion_entry(name)
        if chosen is None:
            print(f"{name}: no champion yet, nothing is scored. The training model promotes one.")
            return schema.empty_table()
        table = use_case.output_table
        main = lake.head(table) if lake.exists(table) else None
        hashed = _hashed(on, run, task, spine, features, chosen)
        pending, latest = _pending(on, run, task, hashed, attributes, shown, chosen, main)
        population = on.count(spine, f"cutoff = {literal(run.as_of)}")
        due = _due(on, task, pending)
        if due == 0:
            print(
                f"{name}: nothing changed for {population:,} entities (version {chosen.version})."
            )
            return schema.empty_table()
        wide = pa.schema([*schema, *task.carried.items()])
        kind = "incremental" if on.count(latest, "is_known_to_version") else "full"
        pending = _with_published(on, run, task, pending, chosen, main)
        with turn():
            predict = partial(
                predicted,
                champion=on.shared(registry.load(name, chosen.version)),
                task=task,
                attributes=[name for name, *_ in shown],
                values={
                    "model": chosen.name,
                    "version": chosen.version,
                    "inference": kind,
                    "run": run.run_id,
                    "run_at": run.as_of,
                },
                schema=wide,
            )
            rows = on.mapped(pending, predict, wide, rows=batch_rows)
            rows = task.bounded(on, rows, population)
            counts = {"population": str(population), "computed": str(due)}
            written = _write(on, run, task, rows, chosen, main, counts)
        branch = prediction_tables.audit_branch(run)
        if not written:
            lake.drop_branch(table, branch)
            print(
                f"{name}: what was published of {population:,} entities stands; {due:,} were computed "
                f"anew (version {chosen.version})."
            )
            return schema.empty_table()
        print(
            f"{name}: {written:,} of {population:,} entities scored by version {chosen.version} "
            f"({kind}, {due:,} computed) into branch {branch} of {lake.NAMESPACE}.{table}. To read it: "
            f"insightera predictions show {name} --branch {branch}"
        )
        own = {"run_id": run.run_id, "prediction_date": run.as_of.date()}
        return on.answer(on.read(table, branch=branch, equal=own))


def _nothing(run: Build, name: str, spine: Frame, attributes: Frame, connection: Any) -> pa.Table:
    """No rows of the prediction table: as it is, or else as it would be, fields that contradict each
    other or not.
    """
    table = run.output_table(name)
    if lake.exists(table):
        return lake.schema(table).empty_table()
    task = tasks.unchecked(UseCase.unchecked(name, run.declared(name), run.protected))
    with engine.opened(connection) as on:
        return output_schema(on, task, spine, attributes).empty_table()


def output_schema(on: Engine, task: Task, spine: Frame, attributes: Frame) -> pa.Schema:
    """The prediction table's columns; keys and attributes have the types of the relations."""
    use_case = task.use_case
    keys = on.schema(spine, task.answer_keys)
    told = _shown(on, use_case, attributes)
    kinds = on.schema(attributes, use_case.attributes)
    shown = [pa.field(name, kinds.field(column).type) for name, column, _ in told]
    own = [
        (output.name, output.type)
        for output in task.outputs()
        if output.name not in task.answer_keys
    ]
    envelope = [
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
    return lake.compatible(pa.schema([*keys, *shown, *own, *envelope]))


def _shown(
    on: Engine, use_case: UseCase, attributes: Frame
) -> list[tuple[str, str, Mapping[str, str]]]:
    """The attributes of an answer: name in it, column of the table that holds them, and by which of
    its columns that table is joined (to which of the spine). Those of people in pairs come once for
    each side.
    """
    held = {"attributes": [*dict.fromkeys([*on.columns(attributes), *use_case.attributes])]}
    read = readings([], held, use_case.entity_keys, use_case.join_key_map)
    prefixes = [f"{each.side}__" if each.side else "" for each in read]
    return [
        (prefix + column, column, each.keys)
        for each, prefix in zip(read, prefixes, strict=True)
        for column in use_case.attributes
    ]


def _hashed(
    on: Engine,
    run: Build,
    task: Task,
    spine: Frame,
    features: Mapping[str, Frame],
    chosen: registry.Version,
) -> Frame:
    """The population with the model's features as they were known at `as_of`, and their digest."""
    use_case = task.use_case
    asked = (*use_case.entity_keys, *task.beside)
    reads = _reads(on, task, asked, features, chosen.features)
    joined = on.joined_at(spine, features, reads, asked, run.as_of, point_in_time_join)
    held = [*dict.fromkeys([*task.answer_keys, *task.beside, *chosen.features])]
    own = [("feature_timestamp", STAMP), ("feature_hash", pa.string())]
    schema = lake.compatible(pa.schema([*on.schema(joined, held), *own]))
    digested = partial(
        with_hash, features=chosen.features, sight=registry.sight(chosen), schema=schema
    )
    hashed = on.mapped(joined, digested, schema)
    return hashed if task.together == task.answer_keys else _hashed_together(on, task, hashed)


def _hashed_together(on: Engine, task: Task, hashed: Frame) -> Frame:
    """One digest for all whose answers are made at once: where one of them changes, all do."""
    kept = [name for name in on.columns(hashed) if name != "feature_hash"]
    keys = on.quoted(*task.answer_keys)
    one = on.key_hash([*task.answer_keys, "feature_hash"])
    numbered = on.kept(f"select *, {one} as own_hash from hashed", hashed=hashed)  # noqa: S608
    return on.kept(
        f"""
        select
            {on.quoted(*kept)},
            -- a sum does not depend on the order
            cast(
                sum(cast(own_hash as decimal(38, 0))) over (
                    partition by {on.quoted(*task.together)}
                ) as string
            ) as feature_hash
        from numbered
        order by {keys}
        """,  # noqa: S608
        numbered=numbered,
    )


def with_hash(
    joined: pa.Table, *, features: Sequence[str], sight: Sight, schema: pa.Schema
) -> pa.Table:
    """Of a batch the columns of `schema`: what is there, when the newest was recorded, and the
    digest of what the model sees of its features.
    """
    from ml.features.model_input import digest

    recorded = [name for name in joined.column_names if name.endswith(RECORDED)]
    stamps = [joined[name].cast(STAMP) for name in recorded] or [pa.nulls(len(joined), STAMP)]
    return (
        joined.append_column("feature_timestamp", pc.max_element_wise(*stamps))
        .append_column("feature_hash", digest(joined, features, sight))
        .select(schema.names)
        .cast(schema)
    )


def _reads(
    on: Engine,
    task: Task,
    asked: Sequence[str],
    features: Mapping[str, Frame],
    columns: tuple[str, ...],
) -> list[Read]:
    """Of each feature table the columns that the champion reads, with those that say what held when;
    tables that it does not read are left out. `asked`: columns of the spine.
    """
    use_case = task.use_case
    found = {table: on.columns(frame) for table, frame in features.items()}
    spine = [*dict.fromkeys([*asked, "cutoff"])]
    joined = readings(spine, found, use_case.entity_keys, use_case.join_key_map)
    told = {*use_case.known_ahead, *(name for each in joined for name in each.columns.values())}
    lost = sorted(set(columns) - told)
    if lost:
        raise InsighteraError(
            f"{use_case.name}: the champion reads {lost}, which none of the feature tables "
            f"{', '.join(features)} has any more. Bring the columns back, or train again "
            "(`--vars 'retrain: always'`)."
        )
    return [
        Read(each.table, each.keys, wanted | _when(number, wanted, found[each.table]))
        for number, each in enumerate(joined)
        if (wanted := {new: column for column, new in each.columns.items() if new in columns})
    ]


def _when(number: int, wanted: Mapping[str, str], held: Sequence[str]) -> dict[str, str]:
    """Columns that say when a version held and was recorded, and since when what is wanted counts days."""
    recorded = {f"{number}{RECORDED}": name for name in ("feature_timestamp",) if name in held}
    counted = {
        f"{new}{SINCE}": f"{column}{SINCE}"
        for new, column in wanted.items()
        if f"{column}{SINCE}" in held
    }
    return recorded | counted | {column: column for column in VALIDITY if column in held}


def _pending(
    on: Engine,
    run: Build,
    task: Task,
    hashed: Frame,
    attributes: Frame,
    told: Sequence[tuple[str, str, Mapping[str, str]]],
    chosen: registry.Version,
    main: int | None,
) -> tuple[Frame, Frame]:
    """Those whose latest prediction is not of these features by this model, with their attributes
    (`attribute_1`, ..., as `told`); and everyone's latest prediction.
    """
    keys = on.quoted(*task.together)
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
        scored=_scored_before(on, task, run, main),
    )
    sides = {str(by): by for _, _, by in told}
    tables = {by: f"attributes_{number}" for number, by in enumerate(sides, start=1)}
    joins = "\n".join(
        f"left join {tables[side]} on {_same(on, by, tables[side])}" for side, by in sides.items()
    )
    shown = "".join(
        f", {tables[str(by)]}.{on.quoted(column)} as attribute_{number}"
        for number, (_, column, by) in enumerate(told, start=1)
    )
    pending = on.kept(
        f"""
        select hashed.*{shown}
        from hashed
        -- a left join and a filter: an anti join on more than equality is a nested loop in DuckDB
        left join latest on {_same(on, {key: key for key in task.together}, "latest")}
        {joins}
        where not coalesce(latest.already, false)
            and latest.feature_hash is distinct from hashed.feature_hash
        order by {", ".join(f"hashed.{on.quoted(key)}" for key in task.answer_keys)}
        """,  # noqa: S608
        hashed=hashed,
        latest=latest,
        **dict.fromkeys(tables.values(), attributes),
    )
    return pending, latest


def _same(on: Engine, keys: Mapping[str, str], other: str) -> str:
    return " and ".join(
        f"{other}.{on.quoted(key)} = hashed.{on.quoted(column)}" for key, column in keys.items()
    )


def _due(on: Engine, task: Task, pending: Frame) -> int:
    """How many are pending, each once."""
    query = (
        f"select count(*) as due, count(distinct ({on.quoted(*task.answer_keys)})) as entities "  # noqa: S608
        "from pending"
    )
    found = on.arrow(on.sql(query, pending=pending)).to_pylist()[0]
    if found["due"] != found["entities"]:
        raise InsighteraError(
            f"{task.use_case.name}: some of {', '.join(task.answer_keys)} have several rows in the "
            "attribute table passed to scoring, or in the label's spine: there must be one row per entity."
        )
    return int(found["due"])


def _scored_before(on: Engine, task: Task, run: Build, main: int | None) -> Frame:
    """Who was scored, when, by which version, from which features: four narrow columns of
    `main`."""
    columns = [*task.together, "feature_hash", "prediction_timestamp", "model_version"]
    if main is None:
        names = [(name, pa.string()) for name in columns if name != "prediction_timestamp"]
        return pa.schema([*names, ("prediction_timestamp", STAMP)]).empty_table()
    at_most = {"prediction_timestamp": run.as_of}
    return on.read(task.use_case.output_table, snapshot=main, columns=columns, at_most=at_most)


def _compared(task: Task) -> list[str]:
    """The columns by which an answer has moved, the factors last; none where answers are made together:
    then all of them are written.
    """
    if task.together != task.answer_keys:
        return []
    own = [output.name for output in task.outputs() if output.role not in DERIVED]
    return [*own, "contributing_factors"]


def _with_published(
    on: Engine,
    run: Build,
    task: Task,
    pending: Frame,
    chosen: registry.Version,
    main: int | None,
) -> Frame:
    """What is pending, beside what the version published of it last: `was_<column>`, NULL where that was
    not within `STANDS`.
    """
    compared = _compared(task)
    if not compared:
        return pending
    was = "".join(f", published.{on.quoted(f'was_{column}')}" for column in compared)
    keys = {key: key for key in task.answer_keys}
    return on.kept(
        f"""
        select hashed.*{was}
        from hashed
        left join published on {_same(on, keys, "published")}
        order by {", ".join(f"hashed.{on.quoted(key)}" for key in keys)}
        """,  # noqa: S608
        hashed=pending,
        published=_published(on, run, task, compared, chosen, main),
    )


def _published(
    on: Engine,
    run: Build,
    task: Task,
    compared: Sequence[str],
    chosen: registry.Version,
    main: int | None,
) -> Frame:
    """Each answer as the version published it last, `was_<column>`, where that was within `STANDS`."""
    keys, table = list(task.answer_keys), task.use_case.output_table
    if main is None or not {*compared} <= {*lake.schema(table).names}:
        kinds = {output.name: output.type for output in task.outputs()}
        names = [(key, pa.string()) for key in keys]
        names += [(f"was_{column}", kinds.get(column, pa.string())) for column in compared]
        return pa.schema(names).empty_table()
    rows = on.read(
        table,
        snapshot=main,
        columns=[*keys, *compared, "prediction_timestamp", "model_version"],
        at_most={"prediction_timestamp": run.as_of},
        at_least={"prediction_timestamp": run.as_of - STANDS},
    )
    was = ", ".join(f"{on.quoted(c)} as {on.quoted(f'was_{c}')}" for c in compared)
    return on.sql(
        f"select {on.quoted(*keys)}, {was} from answers where model_version = $version",  # noqa: S608
        {"version": chosen.version},
        answers=on.latest(rows, keys, prediction_tables.LATEST),
    )


def moved(work: Any, found: pa.Table, batch: pa.Table, task: Task) -> NDArray[np.bool_]:
    """Which answers are others than those published before (`was_<column>` of the batch): by more than
    the tolerance, in category, flag or words, or led by other factors. `work`: a DuckDB connection.
    """
    compared = _compared(task)
    if not compared:
        return np.ones(len(found), dtype=bool)
    roles = {output.name: output.role for output in task.outputs()}
    stands = np.ones(len(found), dtype=bool)
    for column in compared[:-1]:
        new, old = found[column], batch[f"was_{column}"].cast(found[column].type)
        if roles[column] in WITHIN:
            same = pc.less_equal(pc.abs(pc.subtract(new, old)), task.use_case.publish_tolerance)
        else:
            same = pc.if_else(pc.is_null(new), pc.is_null(old), pc.equal(new, old))
        stands &= pc.fill_null(same, False).to_numpy(zero_copy_only=False)
    factors = compared[-1]
    pairs = pa.table({"new": found[factors], "old": batch[f"was_{factors}"]})
    work.register("pairs", pairs.append_column("row", pa.array(range(len(pairs)))))
    led = f"select {_leading('new')} is not distinct from {_leading('old')} from pairs order by row"  # noqa: S608
    alike = work.execute(led).to_arrow_table()[0].to_numpy(zero_copy_only=False)
    stands &= alike
    return ~stands


def _leading(column: str) -> str:
    """SQL: the features that lead an answer, and whether each raises it, in the order of their names."""
    raises = "cast(json_extract(told, '$.contribution') as double) > 0"
    return (
        f"list_sort(list_transform(json_extract({column}, '$[*]'), lambda told: "
        f"{{'feature': json_extract_string(told, '$.feature'), 'raises': {raises}}}))"
    )


def _write(
    on: Engine,
    run: Build,
    task: Task,
    rows: Frame,
    chosen: registry.Version,
    main: int | None,
    counts: Mapping[str, str],
) -> int:
    """Rows into the audit branch, which starts at the `main` that was compared with; how many.

    `counts`: how many were asked about and computed, for the snapshot's summary.
    """
    table, branch = task.use_case.output_table, prediction_tables.audit_branch(run)
    lake.ensure(
        table,
        on.schema(rows, on.columns(rows)),
        ["prediction_date"],
        _properties(task),
    )
    lake.drop_branch(table, branch)  # of an earlier attempt of this run: half of it may be missing
    lake.create_branch(table, branch, main)
    summary = {**lake.lineage(run, chosen.version), "model-name": chosen.name, **counts}
    return on.append(table, rows, summary, branch=branch, onto=main)


def _properties(task: Task) -> dict[str, str]:
    """What the table says of itself, for those who read it without the project."""
    roles = {output.name: output.role for output in task.outputs()}
    units = {output.name: output.unit for output in task.outputs() if output.unit}
    return {
        prediction_tables.ENTITY_KEYS: json.dumps(task.answer_keys),
        prediction_tables.TOGETHER: json.dumps(task.together),
        prediction_tables.OUTCOME: task.use_case.outcome,
        prediction_tables.USE_CASE: task.use_case.name,
        prediction_tables.ROLES: json.dumps(roles),
        prediction_tables.UNITS: json.dumps(units),
    }


def predicted(
    batch: pa.Table,
    *,
    champion: Any,
    task: Task,
    attributes: Sequence[str],
    values: Mapping[str, Any],
    schema: pa.Schema,
) -> pa.Table:
    """Prediction rows of one batch of what is pending, with the columns of `schema`, but for answers that
    stand as they were published.

    `champion`: what `Engine.shared` made of a registered model. `attributes`: what the batch's
    `attribute_1`, ... are called. `values`: of every row.
    """
    from ml.features.model_input import frame

    model = champion.value
    read = frame(batch, model.features)
    scored = batch
    for name, numbers in task.answers(model.pipeline, read).items():
        kind = pa.string() if numbers.dtype == object else None  # where all of them are None too
        scored = scored.append_column(f"answer_{name}", pa.array(numbers, kind))
    top, shares = strongest(task.contributions(model.pipeline, read), FACTORS)
    for rank in range(top.shape[1]):
        scored = scored.append_column(
            f"factor_{rank}", pa.array(top[:, rank] + 1)
        )  # SQL counts from 1
        scored = scored.append_column(f"share_{rank}", pa.array(shares[:, rank]))
    query = _output_sql(task, batch.schema, model, attributes, top.shape[1])
    with memory.connect() as work:
        work.register("scored", scored)
        found = work.execute(query, dict(values)).to_arrow_table().cast(schema)
        return found.filter(pa.array(moved(work, found, batch, task)))


def strongest(
    shares: NDArray[np.float64], count: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Positions and values of the `count` largest |contributions| of each row, largest first.

    `shares`: (rows, features). Equal ones keep the order of the features, so that a row's factors do
    not depend on the rows scored beside it. Both results: (rows, min(count, features)).
    """
    order = np.argsort(-np.abs(shares), axis=1, kind="stable")[:, :count]
    return order, np.take_along_axis(shares, order, axis=1)


def _output_sql(
    task: Task, schema: pa.Schema, model: Any, attributes: Sequence[str], factors: int
) -> str:
    """The prediction row from `scored`: keys, attributes, the task's outputs, factors."""
    features = model.features
    values = ", ".join(_json_value(schema.field(name)) for name in features)
    more = {
        field: ", ".join(_json_literal(value) for value in each)
        for field, each in task.factor_values(model.pipeline).items()
    }
    constants = "".join(
        f", [{each}] as {identifier('of_' + field)}" for field, each in more.items()
    )
    shown = ", ".join(
        f"{{'feature': names[factor_{rank}], 'value': held[factor_{rank}], "
        + "".join(f"{text(field)}: {identifier('of_' + field)}[factor_{rank}], " for field in more)
        + f"'contribution': share_{rank}}}"
        for rank in range(factors)
    )
    carried = "".join(
        f"attribute_{number} as {identifier(name)},\n"
        for number, name in enumerate(attributes, start=1)
    )
    own = {**task.output_sql(), **{name: f"answer_{name}" for name in task.carried}}
    outputs = "".join(
        f"{own[output.name]} as {identifier(output.name)},\n"
        for output in task.outputs()
        if output.name not in task.answer_keys
    )
    return f"""
        with scored as (
            select
                *,
                [{values}] as held,
                [{", ".join(text(name) for name in features)}] as names
                {constants}
            from scored
        ),

        explained as (
            select
                *,
                cast(to_json([{shown}]) as varchar) as contributing_factors
            from scored
        )

        select
            {identifiers(task.answer_keys)},
            {carried}
            {outputs}
            contributing_factors,
            feature_timestamp,
            feature_hash,
            $model as model_name,
            $version as model_version,
            $inference as inference_type,
            $run as run_id,
            cast($run_at as timestamp) as prediction_timestamp,
            cast($run_at as date) as prediction_date
            {"".join(f", {own[name]} as {identifier(name)}" for name in task.carried)}
        from explained
    """  # noqa: S608


def _json_value(field: pa.Field) -> str:
    """SQL for a feature's value as JSON; JSON has no NaN and no infinity."""
    name: Any = identifier(field.name)
    if pa.types.is_floating(field.type):
        return f"to_json(case when isfinite({name}) then {name} end)"
    return f"to_json({name})"


def _json_literal(value: Any) -> str:
    """SQL for a number or a text as JSON; what is no number is null."""
    if isinstance(value, str):
        return f"to_json({text(value)})"
    known = value is not None and np.isfinite(value)
    return f"to_json({float(value)!r})" if known else "cast('null' as json)"
