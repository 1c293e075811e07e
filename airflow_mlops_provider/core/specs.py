"""Frozen settings and records that cross layers; standard library only, because DAG files construct them at parse."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from airflow_mlops_provider.core.errors import InputError

Task = Literal["binary", "multiclass", "regression"]
OnReject = Literal["fail", "skip", "continue"]


@dataclass(frozen=True, slots=True)
class SqlQuery:
    """A query whose result is the data set.

    Parameters
    ----------
    sql : str
        One ``SELECT``. Operators render Jinja in it once. Values belong in `parameters`, which are bound.
    conn_id : str
        Airflow connection of any SQL provider.
    parameters : mapping, optional
        Values bound by the database driver, in its own parameter style.
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
        64 hexadecimal digits. One file: of its bytes. Several: of their sorted names and digests. A query: of its
        rows in any order.
    size_bytes : int
        Bytes on storage; 0 for a query.
    rows : int
        Number of rows.
    modified_at : str or None
        Latest modification, ISO 8601 in UTC; None for a query.
    """

    uri: str
    sha256: str
    size_bytes: int
    rows: int
    modified_at: str | None

    @property
    def digest(self) -> str:
        """The first 32 digits of `sha256`: MLflow keeps at most 36 characters of a data set digest."""
        return self.sha256[:32]

    def to_dict(self) -> dict[str, Any]:
        """Return the record as plain JSON values."""
        return asdict(self)
