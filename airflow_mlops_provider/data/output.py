"""Where rows go: what an output means; must never write anything.

Another kind of storage is one more class with the members of `Place`, and one of `Staging`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.data.access import DEFAULT_ACCESS, DataAccess
from airflow_mlops_provider.data.local_output import LocalPlace
from airflow_mlops_provider.data.locate import place_of
from airflow_mlops_provider.data.s3_output import S3Place
from airflow_mlops_provider.data.s3_path import S3Path


class Staging(Protocol):
    """One try to write a table, which nobody sees before it is published."""

    @property
    def path(self) -> Path:
        """Where on the worker's disk the table is built: a file, or a folder that the writer makes."""

    def publish(self, *, overwrite: bool) -> None:
        """Put the complete table in its place; who looks finds a whole one or none."""

    def close(self) -> None:
        """Remove what was not published."""


class Place(Protocol):
    """A place for one table."""

    @property
    def uri(self) -> str:
        """Address that reads the table."""

    @property
    def public_uri(self) -> str:
        """Address of the table as an asset, without what only its reader needs."""

    @property
    def name(self) -> str:
        """Last part of the address."""

    def beside(self, name: str) -> Place:
        """Return another place in the same folder."""

    def about(self) -> dict[str, Any] | None:
        """Return what a table written here says of itself; None for anything else, or nothing."""

    def check_free(self, *, owner: str, overwrite: bool) -> None:
        """Refuse when something else than this owner's table is there; raises `InputError` with what it is."""

    def stage(self, *, owner: str) -> Staging:
        """Begin a try, and clean away what earlier tries of the owner left unpublished."""


def output_place(output: Any, *, access: DataAccess = DEFAULT_ACCESS) -> LocalPlace | S3Place:
    """Return the place that an output means.

    Parameters
    ----------
    output : str, pathlib.Path or Asset
        A path, a ``file://`` URI or an ``s3://`` address; of an asset, its URI counts.
    access : DataAccess
        How addresses are reached, and which may be.

    Raises
    ------
    InputError
        It is no address, one of another kind, or not allowed.
    """
    place = place_of(output, what="output")
    if isinstance(place, S3Path):
        if not place.key:
            raise InputError(
                f"output {place.uri} must name a key in the bucket. Hint: e.g. {place.uri}/scores.parquet."
            )
        access.check_s3(place)
        return S3Place(place, access.s3_client(place.conn_id))
    access.check_local(place)
    return LocalPlace(Path(place))


def write_new(output: Any, text: str, *, access: DataAccess = DEFAULT_ACCESS) -> str:
    """Write a small text where nothing is yet, and return its address; parameters as for `output_place`.

    The very text may be there: an earlier try of the task wrote it then.

    Raises
    ------
    InputError
        As for `output_place`; something else is there, or it must not be written.
    OutageError
        The storage failed or is full; nothing was left there.
    """
    place = output_place(output, access=access)
    if not place.write_new(text):
        raise InputError(
            f"Output {place.uri} exists and is not overwritten; it holds something else. Hint: name a new one."
        )
    return place.uri
