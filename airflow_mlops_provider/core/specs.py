"""Frozen settings and records that cross layers; standard library only, because DAG files construct them at parse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeVar, get_args

from airflow_mlops_provider.core.errors import InputError

Task = Literal["binary", "multiclass", "regression"]
OnReject = Literal["fail", "skip", "continue"]
FeatureKind = Literal["numeric", "categorical"]
SplitMethod = Literal["hash", "random", "stratified", "group", "time"]
SearchMethod = Literal["grid", "random", "halving"]
Spec = TypeVar("Spec")


@dataclass(frozen=True, slots=True)
class SqlQuery:
    """A query whose result is the data set.

    Parameters
    ----------
    sql : str
        One ``SELECT``; several statements are refused, and PostgreSQL and SQLite are told to refuse whatever writes.
        Operators render Jinja in it, once. Values belong in `parameters`, which are bound.
    conn_id : str
        Airflow connection of any SQL provider.
    parameters : mapping, optional
        Values bound by the database driver, in its own parameter style. Operators render Jinja in them too, so that
        what comes from a run's configuration never becomes SQL.
    """

    sql: str
    conn_id: str
    parameters: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        if not self.sql.strip():
            raise InputError("sql of SqlQuery must not be empty. Hint: give one SELECT statement.")
        if not self.conn_id:
            raise InputError("conn_id of SqlQuery must name an Airflow connection; got ''.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """Identity of a data set's bytes.

    Parameters
    ----------
    uri : str
        Where the data were read from, without credentials.
    sha256 : str
        64 hexadecimal digits. One file: of what `basis` says. Several: of their sorted names and digests. A query: of
        its rows in any order.
    size_bytes : int
        Bytes on storage; 0 for a query.
    rows : int
        Number of rows.
    modified_at : str or None
        Latest modification, ISO 8601 in UTC; None for a query.
    basis : {"bytes", "etag", "rows"}, default "bytes"
        What the digits are of: a file's bytes; an S3 object's ETag, version and size, which change when its bytes do;
        a query's rows. Equal data have equal digits only on the same basis.
    """

    uri: str
    sha256: str
    size_bytes: int
    rows: int
    modified_at: str | None
    basis: Literal["bytes", "etag", "rows"] = "bytes"

    @property
    def digest(self) -> str:
        """The first 32 digits of `sha256`: MLflow keeps at most 36 characters of a data set digest."""
        return self.sha256[:32]

    def to_dict(self) -> dict[str, Any]:
        """Return the record as plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """How rows are kept out of training.

    Parameters
    ----------
    method : {"hash", "random", "stratified", "group", "time"}, default "hash"
        ``hash``: by a stable hash of `columns` (all columns read when empty), so that a row stays on its side however
        the data grow. ``group``: the same over group columns, and no group spans two folds. ``random`` and
        ``stratified`` depend on the seed and on which rows are present. ``time``: the latest rows are held out.
    holdout_share : float, default 0.2
        Expected share of held-out rows, 0 < share < 1.
    columns : sequence of str, default ()
        ``hash``: key columns; ``group``: group columns (required); ``time``: exactly one time column.

    Examples
    --------
    >>> Split(columns=("customer_id",)).method
    'hash'
    """

    method: SplitMethod = "hash"
    holdout_share: float = 0.2
    columns: Sequence[str] = ()

    def __post_init__(self) -> None:
        _one_of("method", "Split", self.method, get_args(SplitMethod))
        if not (isinstance(self.holdout_share, int | float) and 0 < self.holdout_share < 1):
            raise InputError(f"holdout_share of Split must lie between 0 and 1; got {self.holdout_share!r}.")
        if isinstance(self.columns, str):
            raise InputError(f"columns of Split must be a list of names; got the string {self.columns!r}.")
        object.__setattr__(self, "columns", tuple(self.columns))
        if self.method == "group" and not self.columns:
            raise InputError("columns of Split must name the group columns when method is 'group'; got none.")
        if self.method == "time" and len(self.columns) != 1:
            raise InputError(f"columns of Split must name one time column; got {list(self.columns)!r}.")
        if self.method in {"random", "stratified"} and self.columns:
            raise InputError(
                f"columns of Split have no meaning for method {self.method!r}; got {list(self.columns)!r}."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """Which hyperparameters to try and how.

    Parameters
    ----------
    space : mapping of str to sequence or distribution
        Parameter name of the estimator to the values to try. ``random`` also takes objects with ``rvs``.
    method : {"grid", "random", "halving"}, default "grid"
        All combinations; `n_iter` random ones; or successive halving over `n_iter` random ones with growing samples.
    n_iter : int, default 20
        Number of combinations for ``random`` and ``halving``, at least 1.
    """

    space: Mapping[str, Any]
    method: SearchMethod = "grid"
    n_iter: int = 20

    def __post_init__(self) -> None:
        _one_of("method", "Search", self.method, get_args(SearchMethod))
        if not self.space:
            raise InputError("space of Search must name at least one parameter; got none.")
        if isinstance(self.n_iter, bool) or not isinstance(self.n_iter, int) or self.n_iter < 1:
            raise InputError(f"n_iter of Search must be a whole number of at least 1; got {self.n_iter!r}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One estimator that competes to become the challenger.

    Parameters
    ----------
    estimator : str or estimator
        Import path such as ``"sklearn.linear_model.LogisticRegression"``, or an unfitted scikit-learn estimator.
    params : mapping, default {}
        Its parameters.
    search : Search or None
        Parameters to search over, by cross-validation inside the training rows.
    name : str or None
        How it is called in logs and MLflow; default: the class name.
    """

    estimator: Any
    params: Mapping[str, Any] = field(default_factory=dict)
    search: Search | None = None
    name: str | None = None

    @property
    def label(self) -> str:
        """The name it is shown under."""
        if self.name:
            return self.name
        if isinstance(self.estimator, str):
            return self.estimator.rpartition(".")[2]
        return type(self.estimator).__name__


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSettings:
    """How a model is trained, apart from which estimators compete.

    Parameters
    ----------
    task : {"binary", "multiclass", "regression"} or None
        None decides from the target's values.
    positive_class : scalar or None
        Binary only: the class that counts as positive; None takes the greater one in sort order.
    features : sequence of str or None
        Columns to learn from; None takes all but the target and `drop_columns`.
    drop_columns : sequence of str
        Columns to leave out, for example identifiers. They may still be keys of the split.
    split : Split
        Which rows are held out.
    metric : str or None
        What decides among candidates; None takes the task's default.
    folds : int
        Folds of the cross-validation, at least 2, or 0 for none.
    seed : int
        Of everything random, 0 <= seed < 2**32.
    class_weight : "balanced", mapping of class to weight, or None
        Given to the estimator.
    preprocessing : "auto", None or transformer
        ``auto``: impute, encode and scale as the estimator needs.
    reference_sample_rows : int
        Training rows kept as they are with the version, for drift checks that need rows; 0 keeps none.
    """

    task: Task | None = None
    positive_class: Any = None
    features: Sequence[str] | None = None
    drop_columns: Sequence[str] = ()
    split: Split = field(default_factory=Split)
    metric: str | None = None
    folds: int = 5
    seed: int = 0
    class_weight: Any = None
    preprocessing: Any = "auto"
    reference_sample_rows: int = 0

    def __post_init__(self) -> None:
        if self.task is not None:
            _one_of("task", "TrainSettings", self.task, get_args(Task))
        if isinstance(self.features, str) or isinstance(self.drop_columns, str):
            raise InputError("features and drop_columns of TrainSettings must be lists of column names; got a string.")
        if isinstance(self.folds, bool) or not isinstance(self.folds, int) or self.folds == 1 or self.folds < 0:
            raise InputError(f"folds of TrainSettings must be 0 or at least 2; got {self.folds!r}.")
        rows = self.reference_sample_rows
        if isinstance(rows, bool) or not isinstance(rows, int) or rows < 0:
            raise InputError(f"reference_sample_rows of TrainSettings must be a whole number from 0; got {rows!r}.")
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or not 0 <= self.seed < 2**32:
            raise InputError(f"seed of TrainSettings must be a whole number from 0 to 2**32 - 1; got {self.seed!r}.")


def candidates_of(estimator: Any) -> tuple[Candidate, ...]:
    """Return the candidates that a user's `estimator` argument stands for.

    Parameters
    ----------
    estimator : str, estimator, mapping, Candidate, or a list of these
        A mapping has the fields of :class:`Candidate`, and in ``search`` those of :class:`Search`.

    Returns
    -------
    tuple of Candidate
        With names made unique by a number where two are alike.

    Raises
    ------
    InputError
        Nothing is given, or a mapping has a missing or unknown field.

    Examples
    --------
    >>> [c.label for c in candidates_of(["sklearn.svm.SVC", {"estimator": "sklearn.svm.SVC", "params": {"C": 2}}])]
    ['SVC', 'SVC_2']
    """
    given = list(estimator) if isinstance(estimator, list | tuple) else [estimator]
    if not given:
        raise InputError("estimator must name at least one candidate; got an empty list.")
    seen: dict[str, int] = {}
    found = []
    for one in given:
        candidate = _candidate(one)
        count = seen[candidate.label] = seen.get(candidate.label, 0) + 1
        name = candidate.label if count == 1 else f"{candidate.label}_{count}"
        found.append(
            Candidate(estimator=candidate.estimator, params=candidate.params, search=candidate.search, name=name)
        )
    return tuple(found)


def _candidate(given: Any) -> Candidate:
    if isinstance(given, Candidate):
        return given
    if isinstance(given, Mapping):
        fields = dict(given)
        if isinstance(fields.get("search"), Mapping):
            fields["search"] = from_mapping(Search, fields["search"])
        return from_mapping(Candidate, fields)
    if given is None or given == "":
        raise InputError(f"estimator must be an import path, an estimator or a mapping; got {given!r}.")
    return Candidate(estimator=given)


def from_mapping(kind: type[Spec], given: Mapping[str, Any]) -> Spec:
    """Build a frozen setting from a mapping, naming what is missing or unknown."""
    known: Mapping[str, Any] = getattr(kind, "__dataclass_fields__")  # noqa: B009 - not part of type[Spec]
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise InputError(f"{kind.__name__} has no field {unknown[0]!r}. Hint: its fields are {', '.join(known)}.")
    try:
        return kind(**given)
    except TypeError as error:
        raise InputError(f"{kind.__name__} cannot be made from {dict(given)!r}: {error}.") from error


def _one_of(name: str, owner: str, value: object, known: Sequence[str]) -> None:
    if value not in known:
        raise InputError(f"{name} of {owner} must be one of {', '.join(known)}; got {value!r}.")
