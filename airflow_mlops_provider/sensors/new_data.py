"""The data sensor: waits until there are enough data that a model has not been trained on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.errors import DataChangedError, InputError, NoDataError
from airflow_mlops_provider.core.names import check_model_name
from airflow_mlops_provider.core.specs import SqlQuery
from airflow_mlops_provider.operators.base import render_query
from airflow_mlops_provider.sensors.waiting import WaitingSensor
from airflow_mlops_provider.sensors.watched_files import check_watchable, files_trigger

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_mlops_provider.operators.new_data import Known
    from airflow_mlops_provider.triggers.new_data import NewDataTrigger


class NewDataSensor(WaitingSensor):
    """Wait for enough new data.

    Of files, new are those modified after the data that the champion was trained on; rows in them that it was trained
    on do not count, so that a file that grew counts for what was added, and one that was only written again for
    nothing. Of a query, new are the rows beyond those of training. Without a champion all data are new: the first
    training waits for enough of them. Data that are not there yet, or change while they are read, mean waiting on.

    Parameters
    ----------
    data : str, path, Asset, SqlQuery, or a list of these
        What the next training reads. Templated.
    min_rows : int, optional
        Rows that must be new, from 1. Counting them reads the new files; the database counts those of a query.
    min_bytes : int, optional
        Bytes that new files must have, from 1; looks at no row, and counts a file that grew as a whole.
    model_name : str, optional
        New since the training of this model's champion. Templated.
    newer_than : str, optional
        New since this time instead, ISO 8601, UTC where it says no zone. For files. Templated.
    mlflow_conn_id : str, default "mlflow_default"
        Connection of type ``mlflow``. Templated.
    deferrable : bool, default False
        Wait in the triggerer for changed files. `data` must then be paths, which the triggerer sees as the worker does.
    **kwargs
        Of Airflow's ``BaseSensorOperator``: ``poke_interval``, ``timeout``, ``soft_fail``, ``mode``…

    Raises
    ------
    InputError
        Both or neither of `min_rows` and `min_bytes` are given, one is below 1, or `model_name` and `newer_than` are
        given; of a query, `min_bytes` or `newer_than` is.
    InvalidInputError
        A new file is damaged, the champion carries no record of its training, or a permission is missing. Not retried.
    RetryableError
        MLflow, a database or a store does not answer. Retried as the task's ``retries`` say.
    AirflowSensorTimeout
        There were not enough new data within ``timeout``.

    Notes
    -----
    XCom: ``model_name, champion_version, since, new_rows, new_bytes, new_files`` (numbers that were not asked for are
    None) and ``uri``. Without `model_name` and `newer_than`, all data count.

    Times of files are compared with times of files, so the clock of the worker does not matter. Files dated after the
    training itself, by a clock that was ahead, do not hide later ones. Rows held out of training cannot be told from
    new ones one by one, so they are left out by their share: a count among many old rows is an estimate, and among new
    files alone it is exact but for one row in two thousand. A query has to be the one that training reads.

    Examples
    --------
    >>> NewDataSensor(task_id="new_customers", data="/customers/*.parquet", model_name="churn", min_rows=1000)
    <Task(NewDataSensor): new_customers>
    """

    template_fields: Sequence[str] = ("mlflow_conn_id", "data", "model_name", "newer_than")

    def __init__(
        self,
        *,
        data: Any,
        min_rows: int | None = None,
        min_bytes: int | None = None,
        model_name: str | None = None,
        newer_than: str | None = None,
        mlflow_conn_id: str = "mlflow_default",
        deferrable: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(deferrable=deferrable, **kwargs)
        _check_threshold("min_rows", min_rows)
        _check_threshold("min_bytes", min_bytes)
        if (min_rows is None) == (min_bytes is None):
            raise InputError("NewDataSensor waits for min_rows or for min_bytes; give one of the two.")
        if model_name is not None and newer_than is not None:
            raise InputError("NewDataSensor takes model_name or newer_than: data are new since one time.")
        if isinstance(data, SqlQuery) and (min_bytes is not None or newer_than is not None):
            raise InputError(
                "NewDataSensor counts a query by min_rows, and by nothing else. "
                "Hint: put the time into its WHERE, and leave model_name out."
            )
        if deferrable:
            check_watchable(data)
        self.data = data
        self.min_rows = min_rows
        self.min_bytes = min_bytes
        self.model_name = model_name
        self.newer_than = newer_than
        self.mlflow_conn_id = mlflow_conn_id

    def trigger(self) -> NewDataTrigger:
        """Return what waits for changed files."""
        return files_trigger(self.data, poll_interval_seconds=self.poke_interval)

    def look(self, context: Context) -> dict[str, Any] | None:
        """Return what is new, or None when it is not enough."""
        from airflow_mlops_provider.operators.new_data import count_new_files, count_new_rows_of_query

        data = render_query(self, self.data, context)
        known = self._known()
        try:
            if isinstance(data, SqlQuery):
                found = count_new_rows_of_query(data, known)
            else:
                found = count_new_files(data, known, with_rows=self.min_rows is not None)
        except (NoDataError, DataChangedError) as error:
            self.log.info("No data yet: %s", error)
            return None
        amount, wanted, unit = (
            (found.rows, self.min_rows, "rows") if self.min_rows else (found.bytes, self.min_bytes, "bytes")
        )
        self.log.info("%d of %d new %s since %s", amount, wanted, unit, known.label)
        if amount is None or wanted is None or amount < wanted:
            return None
        return {
            "model_name": self.model_name,
            "champion_version": known.version,
            "since": None if known.since is None else known.since.isoformat(timespec="seconds"),
            "new_rows": found.rows,
            "new_bytes": found.bytes,
            "new_files": found.files,
            "uri": found.uri,
        }

    def _known(self) -> Known:
        from airflow_mlops_provider.operators.new_data import Known, known_to_champion

        if self.model_name is not None:
            check_model_name(self.model_name)
            return known_to_champion(self.mlflow_conn_id, self.model_name)
        if self.newer_than is None:
            return Known(label="ever")
        return Known(label=str(self.newer_than), since=_time(self.newer_than))


def _check_threshold(name: str, value: Any) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise InputError(f"{name} of NewDataSensor must be a whole number from 1; got {value!r}.")


def _time(text: Any) -> datetime:
    try:
        found = text if isinstance(text, datetime) else datetime.fromisoformat(str(text).strip())
    except ValueError as error:
        raise InputError(
            f"newer_than must be a time in ISO 8601; got {text!r}. Hint: such as 2026-03-01T00:00:00+00:00."
        ) from error
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
