"""How much of some data a model has not been trained on; it counts and decides nothing.

What was trained on is known from the champion's own record: when its files were modified, how many rows there were,
and the set of hashes of its training rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.errors import DataChangedError
from airflow_mlops_provider.hooks.data import airflow_access, count_rows_of
from airflow_mlops_provider.hooks.mlflow import MlflowHook

if TYPE_CHECKING:
    from airflow_mlops_provider.core.row_set import RowSet
    from airflow_mlops_provider.core.specs import SqlQuery
    from airflow_mlops_provider.data.source import DataSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is not new.

    Parameters
    ----------
    label : str
        For people: since when.
    version : str or None
        Of the champion; None without one.
    since : datetime or None
        Files modified after it are new; None: all are.
    rows : int
        Rows that were there at training, held-out ones too.
    training_rows : RowSet or None
        Those it was trained on.
    identity_columns : sequence of str
        The columns that tell one row from another.
    training_share : float
        Share of the rows that were there, and that it was trained on, in (0, 1].
    """

    label: str
    version: str | None = None
    since: datetime | None = None
    rows: int = 0
    training_rows: RowSet | None = None
    identity_columns: Sequence[str] = ()
    training_share: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """How much is new; None where it was not counted."""

    uri: str
    rows: int | None
    bytes: int | None = None
    files: int | None = None


def known_to_champion(mlflow_conn_id: str, model_name: str) -> Known:
    """Return what the champion was trained on; nothing when there is no champion yet."""
    from airflow_mlops_provider.registry.champion import champion_of
    from airflow_mlops_provider.registry.evidence import read_evidence

    with MlflowHook(mlflow_conn_id).open() as registry:
        champion = champion_of(registry, model_name)
        if champion is None:
            return Known(label=f"ever, for model {model_name!r} has no champion yet")
        evidence, rows = read_evidence(
            registry, run_id=champion.run_id, version=champion.version, model_name=model_name
        )
    trained = datetime.fromtimestamp(champion.created_ms / 1000, UTC)
    modified = evidence.fingerprint.get("modified_at")
    # A file from the future was written by a clock that was ahead: it must not make later files look old.
    since = trained if modified is None else min(datetime.fromisoformat(modified), trained)
    total = evidence.rows + evidence.holdout_rows
    return Known(
        label=f"{champion.label} was trained",
        version=champion.version,
        since=since,
        rows=int(evidence.fingerprint["rows"]),
        training_rows=rows,
        identity_columns=evidence.identity_columns,
        training_share=evidence.rows / total if total else 1.0,
    )


def count_new_rows_of_query(query: SqlQuery, known: Known) -> Amount:
    """Return how many rows a query gives beyond those of training; the database counts."""
    return Amount(uri=f"sql://{query.conn_id}", rows=max(0, count_rows_of(query) - known.rows))


def count_new_files(data: Any, known: Known, *, with_rows: bool) -> Amount:
    """Return what is new in files.

    Parameters
    ----------
    data : data argument
        Files, as operators take them.
    known : Known
        What is not new.
    with_rows : bool
        Count rows too, which reads the new files.

    Raises
    ------
    NoDataError
        There are no files.
    InputError
        A new file is damaged.
    DataChangedError
        A file changed while it was read, or went away.
    """
    from airflow_mlops_provider.data.locate import locate
    from airflow_mlops_provider.data.table_files import TableFiles

    uri, entries = locate(data, access=airflow_access())
    try:
        found = [(entry, entry.file.identity()) for entry in entries]
    except FileNotFoundError as error:
        raise DataChangedError(f"A file of {uri} went away while it was looked at.") from error
    seen = [(entry, one) for entry, one in found if known.since is None or one.modified_at > known.since]
    rows = 0 if with_rows else None
    if with_rows and seen:
        with TableFiles(uri=uri, entries=[entry for entry, _ in seen]) as source:
            rows = _unseen_rows(source, known)
    return Amount(uri=uri, rows=rows, bytes=sum(one.size_bytes for _, one in seen), files=len(seen))


def _unseen_rows(source: DataSource, known: Known) -> int:
    total = source.count_rows()
    if known.training_rows is None or not set(known.identity_columns) <= set(source.schema().names):
        # Rows of other columns than those of training cannot be among them.
        return total
    from airflow_mlops_provider.core.row_hash import hash_rows

    columns = list(known.identity_columns)
    trained = sum(
        int(known.training_rows.contains(hash_rows(batch, columns=columns)).sum()) for batch in source.batches(columns)
    )
    # For each row that was trained on, some were held out beside it.
    return max(0, total - round(trained / known.training_share))
