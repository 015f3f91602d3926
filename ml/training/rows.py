"""Which rows are learned from: those whose label has matured, with their features as believed then."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa

from ml import features as joins
from ml.core.errors import InsighteraError
from ml.core.frames import to_arrow
from ml.core.use_case import UseCase
from ml.engine import Engine, Frame
from ml.tasks import selection
from ml.tasks.protocol import Rows, Task
from ml.tasks.selection import Candidates


def matured(on: Engine, spine: Frame, task: Task, as_of: datetime) -> Rows:
    """Rows of the spine that may be learned from, at most `max_rows`: beyond it, whole entities are
    left out, the same ones in every build (those of the greatest hash).

    Raises InsighteraError for a missing column, a label that the task does not know, or one that
    was given before it could be known at `as_of`.
    """
    use_case = task.use_case
    labelled, bound = _labelled(on, spine, task, as_of)
    entities = _entities(on, spine, labelled, bound, task)
    found = on.arrow(on.sql("select sum(number) as number from entities", entities=entities))
    sampled = (found["number"][0].as_py() or 0) > use_case.max_rows
    order = (*use_case.entity_keys, *task.target_columns)
    chosen = on.kept(
        f"""
        select labelled.*
        from ({labelled}) as labelled
        inner join ({_last_hash(use_case.max_rows if sampled else None)}) as last
            on labelled.entity_hash <= last.entity_hash
        order by {on.quoted(*order)}, cutoff
        """,  # noqa: S608
        bound,
        spine=spine,
        entities=entities,
    )
    table = on.arrow(chosen)
    cutoffs = table["cutoff"].to_numpy().astype("datetime64[us]")
    known = _maturity(table, cutoffs, task)
    _refuse_early(known, cutoffs, task, as_of)
    held = [*order, "cutoff"]
    wide = [*dict.fromkeys([*held, *task.beside])]
    entities = table["entity_hash"].cast(pa.uint64()).to_numpy()
    nodes = [table[name].cast(pa.uint64()).to_numpy() for name in _nodes(use_case)]
    return Rows(
        keys=table.select(held),
        cutoffs=cutoffs,
        matured=known,
        labels=table["label"].to_numpy(),
        entities=entities,
        apart=np.column_stack(nodes) if nodes else entities,
        sampled=sampled,
        spine=on.sql(f"select {on.quoted(*wide)} from chosen", chosen=chosen),  # noqa: S608
    )


def training_set(
    on: Engine, rows: Rows, features: Mapping[str, Any], task: Task, connection: Any
) -> tuple[pa.Table, Candidates]:
    """What was believed of each row at its cutoff, in the order of `rows`, and what may be learned
    from.

    Nothing that a lake came to know after a row's cutoff is in the row.
    """
    use_case = task.use_case
    together = joins.point_in_time_join(
        rows.spine,
        features,
        entity_keys=list(use_case.entity_keys),
        timestamp="cutoff",
        known_at="cutoff",
        join_key_map=use_case.join_key_map,
        connection=connection,
    )
    joined = to_arrow(together, "the training set")
    if not joined.select(rows.keys.column_names).equals(rows.keys):
        raise InsighteraError(
            f"label_{use_case.name} changed while its rows were joined with their features. "
            "Run `dbt build` again."
        )
    asked = (*rows.keys.column_names, *use_case.join_columns)
    own = [name for name in asked if name not in use_case.known_ahead]
    read = joins.readings(
        on.columns(rows.spine),
        {name: on.columns(table) for name, table in features.items()},
        use_case.entity_keys,
        use_case.join_key_map,
    )
    found = selection.candidates(joined.schema, own, read, use_case)
    if not found.kinds:
        raise InsighteraError(
            f"label_{use_case.name}: the feature tables {sorted(features)} hold no column that "
            "may be a feature."
        )
    return joined, found


def _labelled(
    on: Engine, spine: Frame, task: Task, as_of: datetime
) -> tuple[str, Mapping[str, Any]]:
    """The rows with a label, its type the task's, and whether it is one; `entity_hash`: a query of
    `spine`, which may hold many times what is learned from, and its parameters.
    """
    keys = list(task.use_case.entity_keys)
    task.refuse_lacking(on.columns(spine), *filter(None, (task.label, task.matures)))
    given = [f"{name} is not null" for name in ("cutoff", *map(on.quoted, keys))]
    if task.label:
        given.append(f"{task.label} is not null")
        label = f"try_cast({task.label} as {task.label_type}) as label"
        rule = f"coalesce({task.label_rule}, false) as is_label"
    else:  # nothing to wait for: what lies before the build's instant is history
        given.append("cast(cutoff as timestamp) < cast($as_of as timestamp)")
        label, rule = "0 as label", "true as is_label"
    columns = [
        on.quoted(*dict.fromkeys([*keys, *task.beside])),
        "cast(cutoff as timestamp) as cutoff",
        *([f"cast({task.matures} as timestamp) as {task.matures}"] if task.matures else []),
        *(label, rule),
        # md5 is the same everywhere, so the sample is; a split's sides use other bits of it.
        f"{on.key_hash(keys)} as entity_hash",
        *(f"{on.key_hash(of)} as {name}" for name, of in _nodes(task.use_case).items()),
    ]
    bound = {} if task.label else {"as_of": as_of.isoformat(sep=" ")}
    query = f"select {', '.join(columns)} from spine where {' and '.join(given)}"  # noqa: S608
    return query, bound


def _nodes(use_case: UseCase) -> dict[str, list[str]]:
    """What an entity consists of and a split keeps apart: name of a hash -> columns it is of. One
    person has one hash, on whichever side.
    """
    if use_case.split != "nodes_apart":
        return {}
    return {f"node_hash_{n}": list(of) for n, of in enumerate(use_case.nodes, start=1)}


def _entities(
    on: Engine, spine: Frame, labelled: str, bound: Mapping[str, Any], task: Task
) -> Frame:
    """Each entity's `entity_hash` and `number` of rows. Raises InsighteraError for rows that are none."""
    rules = [(column, *told) for column, told in task.target_rules.items()]
    rules.append((task.label, "is_label", task.label_words))
    refused = [f"refused_{number}" for number in range(len(rules))]
    counts = "".join(
        f", sum(case when coalesce({rule}, false) then 0 else 1 end) as {name}"
        for name, (_, rule, _) in zip(refused, rules, strict=True)
    )
    entities = on.kept(
        f"select entity_hash, count(*) as number{counts} "  # noqa: S608
        f"from ({labelled}) as labelled group by entity_hash",
        bound,
        spine=spine,
    )
    sums = ", ".join(f"coalesce(sum({name}), 0) as {name}" for name in refused)
    told = on.sql(f"select {sums} from entities", entities=entities)  # noqa: S608
    (numbers,) = on.arrow(told).to_pylist()
    for name, (column, _, words) in zip(refused, rules, strict=True):
        if numbers[name]:
            raise InsighteraError(
                f"models/labels/label_{task.use_case.name}.sql: `{column}` must be {words}; "
                f"{int(numbers[name]):,} rows hold something else."
            )
    return entities


def _last_hash(most: int | None) -> str:
    """SQL: the greatest hash of an entity whose rows are taken."""
    if most is None:
        return "select max(entity_hash) as entity_hash from entities"
    return f"""
        select coalesce(max(entity_hash), 0) as entity_hash
        from (
            select entity_hash, sum(number) over (order by entity_hash) as running
            from entities
        ) as summed
        where running <= {int(most)}
    """  # noqa: S608


def _maturity(table: pa.Table, cutoffs: Any, task: Task) -> Any:
    """When each row's label could be known."""
    if task.matures:
        return table[task.matures].to_numpy().astype("datetime64[us]")
    if not task.label:
        return cutoffs
    days = np.timedelta64(task.use_case.horizon_days, "D")
    return cutoffs + days.astype("timedelta64[us]")


def _refuse_early(known: Any, cutoffs: Any, task: Task, as_of: datetime) -> None:
    early = (known > np.datetime64(as_of, "us")) | np.isnat(known)
    if early.any():
        case = task.use_case
        reach = (
            f"`{task.matures}` is later than"
            if task.matures
            else f"their horizon of {case.horizon_days} days ends after"
        )
        raise InsighteraError(
            f"label_{case.name}: {int(early.sum())} rows carry a label although {reach} as_of "
            f"{as_of:%Y-%m-%d %H:%M} (first cutoff {cutoffs[early].min()}). Leave the label NULL "
            "until it can be known."
        )
    backward = known <= cutoffs
    if task.matures and backward.any():
        raise InsighteraError(
            f"label_{task.use_case.name}: {int(backward.sum())} rows are known before they are "
            f"asked: `{task.matures}` must lie after `cutoff`."
        )
