"""What is measured of one column before anything is decided: effect, tests, missing rows, unseen categories.

It must never judge: whether a p-value is small depends on all columns together.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from airflow_mlops_provider.core.cell_tests import CellTestResult, cell_test, proportion_test
from airflow_mlops_provider.core.distinct_change import distinct_cells, hardly_any_in_cells
from airflow_mlops_provider.core.drift_method import ColumnKind, Effect, MethodChoice
from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.histogram import CategoryGrid, NoGrid
from airflow_mlops_provider.core.profile_pairs import OTHER_LABEL, cells_of, unseen_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow_mlops_provider.core.cells import CellCounts
    from airflow_mlops_provider.core.drift_policy import DriftPolicy
    from airflow_mlops_provider.core.profile import ColumnProfile

# Moments move with the calendar: a month's dates always differ from the month before.
_CALENDAR_KINDS = frozenset({"datetime", "datetimetz"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """Some rows out of all rows, in both samples.

    Parameters
    ----------
    reference, current : tuple of int
        Such rows, and all rows that could be such.
    test : CellTestResult or None
        Whether the shares differ; None where a sample is too small.
    examples : tuple of str
        Some of their values.
    enough : bool
        Whether both samples are large enough for the shares to be alike where the test finds no difference.
    """

    reference: tuple[int, int]
    current: tuple[int, int]
    test: CellTestResult | None
    examples: tuple[str, ...] = ()
    enough: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One column of both samples.

    Parameters
    ----------
    name, kind : str
        Of the column in the reference.
    cells : CellCounts or None
        None where the shape is not judged or a side has no value.
    choice : MethodChoice or None
        None where the shape is not judged.
    effect : Effect or None
        None without `cells`.
    form : {"cells", "exact"} or None
        How the effect was computed.
    test : CellTestResult or None
        Of the shape; None where a sample is too small or the policy's rule does not ask.
    n_reference, n_current : int
        Values compared.
    missing : Share
        Null, NaN and infinite rows, and those of another type.
    unseen : Share or None
        Rows with new categories; None where these cannot be told.
    """

    name: str
    kind: str
    cells: CellCounts | None
    choice: MethodChoice | None
    effect: Effect | None
    form: Literal["cells", "exact"] | None
    test: CellTestResult | None
    n_reference: int
    n_current: int
    missing: Share
    unseen: Share | None


def measure(
    reference: ColumnProfile,
    current: ColumnProfile,
    *,
    policy: DriftPolicy,
    values: tuple[Any, Any] | None,
    absent: tuple[int, int] = (0, 0),
    any_size: bool = False,
) -> Measured:
    """Measure a column that both samples have, of the same kind.

    Parameters
    ----------
    reference, current : ColumnProfile
        Counted in the same cells.
    policy : DriftPolicy
        Method, smallest sample, seed.
    values : tuple of arrays, or None
        All values of both samples, none missing; then the effect is exact.
    absent : tuple of int, default (0, 0)
        Rows of both data sets from parts without the column, which are missing rows too.
    any_size : bool, default False
        Whether to test missing rows and unseen categories, whose tests are exact, below the policy's `min_samples` too.

    Returns
    -------
    Measured
    """
    kind = _shape_kind(reference, policy)
    unseen_rows = unseen_of(reference, current) if kind == "categorical" else None
    n_reference = reference.n_counted if kind else 0
    n_current = current.n_counted - (unseen_rows or 0) if kind else 0
    choice = policy.choice(reference.name, kind) if kind else None
    cells = cells_of(reference, current) if kind else None
    by_distinct = policy.rule != "evidently" and hardly_any_in_cells(reference) and hardly_any_in_cells(current)
    if cells is not None and by_distinct:
        cells, values = distinct_cells(reference, current), None
    effect: Effect | None = None
    form: Literal["cells", "exact"] | None = None
    if cells is not None and choice is not None:
        effect, form = _effect(reference.name, choice, cells, values)
    test = None
    smallest = 1 if any_size and policy.rule == "calibrated" else policy.min_samples
    enough = min(n_reference, n_current) >= policy.min_samples
    if policy.rule == "calibrated" and enough and cells is not None and choice is not None:
        cells_to_test, outside = (cells, (0, 0)) if by_distinct else _split_off_others(reference, current, cells)
        test = cell_test(cells_to_test, test=choice.method.test, seed=policy.seed, outside=outside)
    return Measured(
        name=reference.name,
        kind=reference.kind,
        cells=cells,
        choice=choice,
        effect=effect,
        form=form,
        test=test,
        n_reference=n_reference,
        n_current=n_current,
        missing=_missing(reference, current, absent, policy, smallest=smallest),
        unseen=None if unseen_rows is None else _unseen(reference, current, unseen_rows, policy, smallest=smallest),
    )


def _shape_kind(column: ColumnProfile, policy: DriftPolicy) -> ColumnKind | None:
    if isinstance(column.grid, NoGrid) or (column.kind in _CALENDAR_KINDS and column.name not in policy.per_column):
        return None
    return "categorical" if isinstance(column.grid, CategoryGrid) else "numeric"


def _split_off_others(
    reference: ColumnProfile, current: ColumnProfile, cells: CellCounts
) -> tuple[CellCounts, tuple[int, int]]:
    """Take the cell of all other texts, if there is one, from the cells."""
    outside = (reference.other, current.other)
    if cells.ordered or cells.labels[-1:] != (OTHER_LABEL,) or not cells.reference[:-1].sum():
        return cells, (0, outside[1]) if not cells.ordered else (0, 0)
    if not cells.current[:-1].sum():
        return cells, (0, 0)
    kept = replace(cells, reference=cells.reference[:-1], current=cells.current[:-1], labels=cells.labels[:-1])
    return kept, outside


def _effect(
    name: str, choice: MethodChoice, cells: CellCounts, values: tuple[Any, Any] | None
) -> tuple[Effect, Literal["cells", "exact"]]:
    certified = choice.method.from_cells(cells)
    if values is None:
        return certified, "cells"
    try:
        exact = choice.method.exact(*values)
    except InputError as error:
        raise InputError(f"Column {name!r}: {error}") from error
    rounding = 1e-9 + 1e-6 * abs(exact)
    if cells.ordered and not certified.lower - rounding <= exact <= certified.upper + rounding:
        # Of other rows than were profiled, or beyond what floats can tell: what the cells certify stands.
        return certified, "cells"
    return Effect(value=exact, lower=exact, upper=exact), "exact"


def _missing(
    reference: ColumnProfile, current: ColumnProfile, absent: tuple[int, int], policy: DriftPolicy, *, smallest: int
) -> Share:
    shares = []
    for column, more in ((reference, absent[0]), (current, absent[1])):
        infinite = column.positive_infinities + column.negative_infinities
        shares.append((column.missing + infinite + column.mistyped + more, column.rows + more))
    first, second = shares

    def test(hits: int) -> CellTestResult:
        return proportion_test(reference=first, current=(hits, second[1]))

    size = min(first[1], second[1])
    found = _test_share(test, second[0], (0, second[1]), size, policy, smallest=smallest)
    return Share(reference=first, current=second, test=found, enough=size >= policy.min_samples)


def _unseen(
    reference: ColumnProfile, current: ColumnProfile, rows: int, policy: DriftPolicy, *, smallest: int
) -> Share:
    n, m = reference.n_counted, current.n_counted

    def test(hits: int) -> CellTestResult:
        return unseen_test(reference_counts=reference.counts, unseen=hits, n_current=m)

    return Share(
        reference=(0, n),
        current=(rows, m),
        test=_test_share(test, rows, (m,), min(n, m), policy, smallest=smallest),
        enough=min(n, m) >= policy.min_samples,
        examples=current.other_examples,
    )


def _test_share(
    test: Callable[[int], CellTestResult],
    hits: int,
    extremes: tuple[int, ...],
    size: int,
    policy: DriftPolicy,
    *,
    smallest: int,
) -> CellTestResult | None:
    """Test a count, unless the sample is too small for even an extreme one to be significant."""
    if size < smallest:
        return None
    if size < policy.min_samples and all(test(one).p_value > policy.fdr for one in extremes):
        return None
    return test(hits)


def unseen_test(*, reference_counts: Sequence[int], unseen: int, n_current: int) -> CellTestResult:
    """Test whether more rows are in unseen categories than the reference's own rare ones let expect.

    That the reference has none of them proves nothing: the categories are its own. By Good and Turing, the chance that
    the next row is in a category not seen before is about f1 / n, with f1 categories seen once in n rows [1]_; its mean
    squared error is about (f1 + 2 f2) / n^2 with f2 seen twice [2]_. So f1 of n rows are compared with the unseen rows,
    with n and f1 divided by (f1 + 2 f2) / f1 so that a binomial has that error.

    Parameters
    ----------
    reference_counts : sequence of int
        Rows of each category in the reference.
    unseen : int
        Rows of the current sample in other categories.
    n_current : int
        All rows of the current sample with a category.

    Returns
    -------
    CellTestResult
        With p = 1 where no more are unseen than expected.

    References
    ----------
    .. [1] I. J. Good, The population frequencies of species and the estimation of population parameters, Biometrika 40
       (1953) 237-264, equation 9.
    .. [2] W. W. Esty, A normal limit law for a nonparametric estimator of the coverage of a random sample, Ann.
       Statist. 11 (1983) 905-912.

    Examples
    --------
    >>> unseen_test(reference_counts=[500, 480, 20], unseen=20, n_current=500).p_value < 1e-8
    True
    >>> unseen_test(reference_counts=[900] + [1] * 100, unseen=50, n_current=500).p_value
    1.0
    """
    n, once, twice = sum(reference_counts), 0, 0
    for count in reference_counts:
        once += count == 1
        twice += count == 2
    if not unseen:
        return CellTestResult(p_value=1.0, test="none")
    if unseen * n <= once * n_current:
        return CellTestResult(p_value=1.0, test="fisher")
    # f2 alone says as much about the error as one more category seen once would.
    inflation = (once + 2 * twice) / once if once else 1.0 + 2 * twice
    return proportion_test(
        reference=(round(once / inflation), max(round(n / inflation), 1)), current=(unseen, n_current)
    )
