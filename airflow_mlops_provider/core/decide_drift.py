"""From two profiles and a policy to a verdict, column by column and for the data set.

It must never look at a column's p-value alone: all tests of a report are one family, or a hundred columns raise five
alarms on a quiet day. Nor at significance alone: with a million rows everything is significant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.column_drift import Measured, measure
from airflow_mlops_provider.core.column_verdict import judge_column
from airflow_mlops_provider.core.drift_policy import DriftPolicy
from airflow_mlops_provider.core.drift_report import ColumnDrift, DriftReport, DriftVerdict, SchemaChange
from airflow_mlops_provider.core.errors import InputError

if TYPE_CHECKING:
    from airflow_mlops_provider.core.profile import ColumnProfile, DatasetProfile


def decide_drift(
    reference: DatasetProfile,
    current: DatasetProfile,
    policy: DriftPolicy | None = None,
    *,
    importances: Mapping[str, float] | None = None,
    values: Mapping[str, tuple[Any, Any]] | None = None,
    any_size: bool = False,
) -> DriftReport:
    """Decide whether data drifted.

    Under the ``calibrated`` rule every column is tested for a changed shape, changed share of missing rows and unseen
    categories. All p-values are corrected as one family by Benjamini and Hochberg [1]_, which holds the chance of any
    false alarm on a data set without drift at the policy's `fdr` for independent and for positively dependent columns
    [2]_. A change counts when its corrected p-value is at most `fdr` and it is as large as the policy says matters.

    Parameters
    ----------
    reference, current : DatasetProfile
        Counted in the same cells.
    policy : DriftPolicy, optional
        By default ``DriftPolicy()``.
    importances : mapping of str to float, optional
        Importance of features; negative ones count as 0.
    values : mapping of str to tuple of arrays, optional
        All values of some columns, reference and current, none of them missing. Their effects are then exact.
    any_size : bool, default False
        Whether missing rows and unseen categories may be drift in a column of fewer values than the policy's
        `min_samples` too, under the ``calibrated`` rule; their tests are exact at any size.

    Returns
    -------
    DriftReport

    Raises
    ------
    InputError
        A column was counted in different cells, the policy does not fit a column, or importances are not numbers or
        name no column.

    References
    ----------
    .. [1] Y. Benjamini, Y. Hochberg, Controlling the false discovery rate, J. R. Statist. Soc. B 57 (1995) 289-300.
    .. [2] Y. Benjamini, D. Yekutieli, The control of the false discovery rate in multiple testing under dependency,
       Ann. Statist. 29 (2001) 1165-1188.

    Examples
    --------
    >>> import numpy as np, pyarrow as pa
    >>> from airflow_mlops_provider.core.profiler import Profiler
    >>> from airflow_mlops_provider.core.reference_grids import reference_grids
    >>> def profile(table, grids):
    ...     profiler = Profiler(grids)
    ...     profiler.update(table)
    ...     return profiler.result()
    >>> rng = np.random.default_rng(0)
    >>> before = pa.table({"charge": rng.normal(0, 1, 2000), "age": rng.normal(40, 9, 2000)})
    >>> after = pa.table({"charge": rng.normal(0.5, 1, 500), "age": rng.normal(40, 9, 500)})
    >>> grids = reference_grids(before)
    >>> report = decide_drift(profile(before, grids), profile(after, grids))
    >>> report.verdict, report.drifted_columns
    ('drift', ('charge',))
    """
    policy = policy or DriftPolicy()
    schema, compared = _compare_schemas(reference, current, policy)
    given = values or {}
    measured = []
    for name in compared:
        before, now = reference.column(name), current.column(name)
        # Rows of parts of the data that lacked the column.
        absent = max(reference.rows - before.rows, 0), max(current.rows - now.rows, 0)
        measured.append(measure(before, now, policy=policy, values=given.get(name), absent=absent, any_size=any_size))
    weights = _weights(importances, reference, policy)
    adjusted = adjust_p_values(_family(measured, policy), policy)
    columns = [judge_column(one, adjusted.get(one.name, {}), policy, weights) for one in measured]
    return _report(reference, current, policy, schema, columns, weights)


def adjust_p_values(p_values: Mapping[tuple[str, str], float], policy: DriftPolicy) -> dict[str, dict[str, float]]:
    """Correct p-values of (column, test) over all of them; the same as ``scipy.stats.false_discovery_control``.

    Parameters
    ----------
    p_values : mapping of (str, str) to float
        By column and what was tested.
    policy : DriftPolicy
        Only the ``calibrated`` rule corrects.

    Returns
    -------
    dict of str to dict of str to float
        By column, then by what was tested.

    Examples
    --------
    >>> adjust_p_values({("a", "shape"): 0.01, ("b", "shape"): 0.02, ("c", "shape"): 0.9}, DriftPolicy())
    {'c': {'shape': 0.9}, 'b': {'shape': 0.03}, 'a': {'shape': 0.03}}
    """
    found: dict[str, dict[str, float]] = {}
    if policy.rule != "calibrated":
        return found
    ordered = sorted(p_values.items(), key=lambda item: item[1])
    smallest = 1.0
    for rank, ((column, what), p_value) in reversed(list(enumerate(ordered, start=1))):
        smallest = min(smallest, p_value * len(ordered) / rank)
        found.setdefault(column, {})[what] = smallest
    return found


def _family(measured: Sequence[Measured], policy: DriftPolicy) -> dict[tuple[str, str], float]:
    """Collect the p-values to correct; a test that had nothing to tell apart is none, whatever the samples hold."""
    family: dict[tuple[str, str], float] = {}
    for one in measured:
        tests = {"shape": one.test}
        if policy.missing_share_change is not None:
            tests["missing"] = one.missing.test
        if one.unseen is not None and policy.unseen_share is not None:
            tests["unseen"] = one.unseen.test
        for what, test in tests.items():
            if test is not None and test.test != "none":
                family[one.name, what] = test.p_value
    return family


def _compare_schemas(
    reference: DatasetProfile, current: DatasetProfile, policy: DriftPolicy
) -> tuple[SchemaChange, tuple[str, ...]]:
    ignored = set(policy.ignore_columns)
    before = {one.name: one for one in reference.columns if one.types and one.name not in ignored}
    after = {one.name: one for one in current.columns if one.types and one.name not in ignored}
    if not before:
        raise InputError("The reference profile has no columns to compare. Hint: profile the training data again.")
    if not after and not current.rows:
        # Nothing came at all, not even a schema.
        return SchemaChange(), tuple(name for name in before if name in current.names)
    retyped = [
        (name, before[name].kind, after[name].kind)
        for name in sorted(before.keys() & after.keys())
        if _retyped(before[name], after[name])
    ]
    schema = SchemaChange(
        missing=tuple(sorted(before.keys() - after.keys())),
        new=tuple(sorted(after.keys() - before.keys())),
        retyped=tuple(retyped),
    )
    gone = {name for name, _, _ in retyped}
    return schema, tuple(sorted((before.keys() & after.keys()) - gone))


def _retyped(before: ColumnProfile, after: ColumnProfile) -> bool:
    return before.kind != after.kind and "null" not in (before.kind, after.kind)


def _weights(
    importances: Mapping[str, float] | None, reference: DatasetProfile, policy: DriftPolicy
) -> dict[str, float] | None:
    if importances is None:
        return None
    for name, value in importances.items():
        if isinstance(value, bool) or not isfinite(value):
            raise InputError(f"Importance of column {name!r} must be a finite number; got {value!r}.")
    names = set(reference.names) - set(policy.ignore_columns)
    positive = {name: float(max(value, 0)) for name, value in importances.items() if name in names}
    if not positive:
        raise InputError(
            f"importances name no column of the reference; got {list(importances)[:5]}. "
            f"Hint: its columns are {', '.join(sorted(names))}."
        )
    total = sum(positive.values())
    return {name: value / total for name, value in positive.items()} if total > 0 else None


def _report(
    reference: DatasetProfile,
    current: DatasetProfile,
    policy: DriftPolicy,
    schema: SchemaChange,
    columns: Sequence[ColumnDrift],
    weights: Mapping[str, float] | None,
) -> DriftReport:
    drifted = [one for one in columns if one.verdict == "drift"]
    judged = [one for one in columns if one.verdict != "insufficient_data"]
    share = len(drifted) / len(judged) if judged else None
    weighted = None if weights is None else sum(weights.get(one.column, 0.0) for one in drifted)
    limit = None if weights is None else min(policy.importance_share, max(weights.values()))
    reasons = []
    if policy.schema_change_is_drift and schema.breaks:
        reasons.append(_say_schema(schema))
    names = ", ".join(one.column for one in sorted(drifted, key=_rank)[:10])
    # Sums of shares are right to a rounding only.
    if weighted is not None and limit is not None and drifted and weighted >= limit - 1e-12:
        reasons.append(f"drifted columns hold {weighted:.0%} of the importance, {limit:.0%} allowed below: {names}")
    elif weighted is None and drifted and share is not None and share >= policy.drift_share - 1e-12:
        reasons.append(f"{len(drifted)} of {len(judged)} columns drifted, {policy.drift_share:.0%} is drift: {names}")
    verdict: DriftVerdict = "drift" if reasons else "no_drift"
    if not reasons and not judged:
        verdict = "insufficient_data"
        needed = "they have too few values, or texts that are nearly all different"
        for side, rows in (("reference", reference.rows), ("current", current.rows)):
            if rows < policy.min_samples:
                needed = f"{rows} {side} rows, {policy.min_samples} needed"
        reasons.append(f"no column could be judged: {needed}")
    return DriftReport(
        verdict=verdict,
        rule=policy.rule,
        reasons=tuple(reasons),
        n_reference=reference.rows,
        n_current=current.rows,
        n_drifted=len(drifted),
        n_judged=len(judged),
        n_insufficient=len(columns) - len(judged),
        drift_share=share,
        importance_drifted=weighted,
        importance_threshold=limit,
        schema=schema,
        columns=tuple(sorted(columns, key=_rank)),
    )


def _rank(one: ColumnDrift) -> tuple[bool, float, float, str]:
    ratio = 0.0
    if one.effect is not None:
        ratio = one.effect.value / one.threshold if one.threshold else one.effect.value
    return one.verdict != "drift", -(one.importance or 0.0), -ratio, one.column


def _say_schema(schema: SchemaChange) -> str:
    said = []
    if schema.missing:
        said.append(f"missing columns {', '.join(schema.missing)}")
    said += [f"column {name} changed from {before} to {after}" for name, before, after in schema.retyped]
    return "; ".join(said)
