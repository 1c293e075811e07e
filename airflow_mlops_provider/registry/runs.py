"""One MLflow run from start to end, through the client only: nothing here may touch MLflow's global active run.

What MLflow would cut short, round or accept in silence (a parameter over 6,000 characters, a metric that is NaN or
infinite) is refused here, because a record that is not what was logged is worse than none.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from airflow_mlops_provider.core.errors import InputError, OutageError
from airflow_mlops_provider.registry.artifact_store import artifact_store_error
from airflow_mlops_provider.registry.session import scrubbed

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_mlops_provider.core.specs import Fingerprint
    from airflow_mlops_provider.registry.session import Registry

# Limits of MLflow's REST interface (mlflow.utils.validation, 3.17); over PARAM_LENGTH and TAG_LENGTH MLflow cuts
# the value off without an error.
PARAMS_PER_BATCH = 100
METRICS_PER_BATCH = 1000
PARAM_LENGTH = 6000
TAG_LENGTH = 8000
SCHEMA_LENGTH = 1_048_575
_SAID_LENGTH = 500
_CLIENT_ERRORS = range(400, 500)
# Request time-out and too many requests, which may pass.
_BUSY = frozenset({408, 429})

_Item = TypeVar("_Item")


def task_tags(
    *, dag_id: str, task_id: str, run_id: str, try_number: int, map_index: int = -1, operator: str = ""
) -> dict[str, str]:
    """Return the tags that say which try of which Airflow task made a run; MLflow shows the first two as its source."""
    return {
        "mlflow.source.name": f"{dag_id}.{task_id}",
        "mlflow.source.type": "JOB",
        "airflow.dag_id": dag_id,
        "airflow.task_id": task_id,
        "airflow.run_id": run_id,
        "airflow.map_index": str(map_index),
        "airflow.try_number": str(try_number),
        "airflow.operator": operator,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedRun:
    """A run that is open for logging.

    Parameters
    ----------
    registry : Registry
        The session it is logged through.
    run_id, experiment_id : str
        MLflow's ids.
    sha256 : dict of str to str
        Of each file that was logged through this object, by its path in the run.
    """

    registry: Registry
    run_id: str
    experiment_id: str
    sha256: dict[str, str] = field(default_factory=dict, repr=False, compare=False)

    def url(self, artifact: str | None = None) -> str | None:
        """Return the address of the run, or of one of its artifacts, in the MLflow UI."""
        return self.registry.run_url(experiment_id=self.experiment_id, run_id=self.run_id, artifact=artifact)

    def set_tags(self, tags: Mapping[str, Any]) -> None:
        """Set tags; a later value replaces an earlier one.

        Raises
        ------
        InputError
            A value is longer than 8,000 characters.
        """
        from mlflow.entities import RunTag

        entries = [RunTag(key, _checked_length("tag", key, value, TAG_LENGTH)) for key, value in tags.items()]
        for batch in _batches(entries, PARAMS_PER_BATCH):
            self.registry.client.log_batch(self.run_id, tags=batch)

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Log parameters, which MLflow lets nobody change afterwards.

        Raises
        ------
        InputError
            A value is longer than 6,000 characters.
        """
        from mlflow.entities import Param

        entries = [Param(key, _checked_length("parameter", key, value, PARAM_LENGTH)) for key, value in params.items()]
        for batch in _batches(entries, PARAMS_PER_BATCH):
            self.registry.client.log_batch(self.run_id, params=batch)

    def log_metrics(self, metrics: Mapping[str, float], *, step: int = 0) -> None:
        """Log metrics, all at one time stamp.

        Parameters
        ----------
        metrics : mapping of str to float
            Finite values.
        step : int, default 0
            For example the number of a fold.

        Raises
        ------
        InputError
            A value is NaN or infinite.
        """
        from mlflow.entities import Metric

        now_ms = int(time.time() * 1000)
        entries = [Metric(key, _finite(key, value), now_ms, step) for key, value in metrics.items()]
        for batch in _batches(entries, METRICS_PER_BATCH):
            self.registry.client.log_batch(self.run_id, metrics=batch)

    def log_text(self, text: str, path: str) -> None:
        """Store `text` as the artifact `path` of the run, for example ``validation/report.html``."""
        with _stored(self, path):
            self.registry.client.log_text(self.run_id, text, path)
        self.sha256[path] = hashlib.sha256(text.encode()).hexdigest()

    def log_dict(self, value: Mapping[str, Any], path: str) -> None:
        """Store plain JSON values as the artifact `path`; NaN and foreign objects raise instead of being written."""
        self.log_text(json.dumps(value, indent=2, allow_nan=False), path)

    def log_file(self, local_path: Path, folder: str | None = None) -> None:
        """Store a local file in the artifact folder `folder`."""
        with _stored(self, folder or str(local_path)):
            self.registry.client.log_artifact(self.run_id, str(local_path), folder)
        path = local_path.name if folder is None else f"{folder}/{local_path.name}"
        self.sha256[path] = hashlib.sha256(local_path.read_bytes()).hexdigest()

    def log_model_files(self, model_id: str, directory: Path) -> None:
        """Store the files of a model directory as those of a logged model."""
        with _stored(self, f"model {model_id}"):
            self.registry.client.log_model_artifacts(model_id, str(directory))

    def log_dataset(
        self,
        fingerprint: Fingerprint,
        *,
        context: str,
        columns: Mapping[str, str] | None = None,
        name: str | None = None,
    ) -> None:
        """Record what data the run read, under our digest: MLflow's own covers the first 10,000 rows only.

        Parameters
        ----------
        fingerprint : Fingerprint
            Its first 32 digits become the data set's digest.
        context : str
            What the data were for: ``training``, ``validation``, ``evaluation``…
        columns : mapping of str to str, optional
            Column name to type, in order; left out when it is over MLflow's size limit.
        name : str, optional
            Default: the last part of the URI.
        """
        from mlflow.entities import Dataset, DatasetInput, InputTag

        profile = {"num_rows": fingerprint.rows, "size_bytes": fingerprint.size_bytes, "sha256": fingerprint.sha256}
        dataset = Dataset(
            name=(name or fingerprint.uri.rstrip("/").rsplit("/", maxsplit=1)[-1] or "data")[:500],
            digest=fingerprint.digest,
            source_type=_source_type(fingerprint.uri),
            source=json.dumps({"uri": fingerprint.uri}),
            schema=_schema(columns),
            profile=json.dumps(profile),
        )
        tags = [InputTag("mlflow.data.context", context)]
        self.registry.client.log_inputs(self.run_id, datasets=[DatasetInput(dataset, tags)])


@contextmanager
def logged_run(
    registry: Registry, *, experiment_name: str, run_name: str, tags: Mapping[str, Any]
) -> Iterator[LoggedRun]:
    """Start a run and end it as FINISHED, or as FAILED when anything is raised inside, a task time-out included.

    Parameters
    ----------
    registry : Registry
        An open session.
    experiment_name : str
        Created when missing.
    run_name : str
        What the MLflow UI shows.
    tags : mapping of str to str
        Set in the very call that makes the run, so that no run is ever without them; see :func:`task_tags`.

    Yields
    ------
    LoggedRun
        Valid inside the ``with`` block only.
    """
    texts = {key: _checked_length("tag", key, value, TAG_LENGTH) for key, value in tags.items()}
    experiment_id = registry.experiment_id(experiment_name)
    run_id = str(registry.client.create_run(experiment_id, tags=texts, run_name=run_name).info.run_id)
    try:
        yield LoggedRun(registry=registry, run_id=run_id, experiment_id=experiment_id)
    except BaseException:
        # The first error is the one to report; a run left RUNNING by an outage says nothing false about its data.
        with suppress(Exception):
            registry.client.set_terminated(run_id, status="FAILED")
        raise
    registry.client.set_terminated(run_id, status="FINISHED")


@contextmanager
def _stored(run: LoggedRun, path: str) -> Iterator[None]:
    """Turn what artifact stores raise (requests, botocore, the file system) into our errors."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException:
        raise
    except Exception as error:
        # Never "from error": a task's log prints causes, and theirs hold signed addresses.
        raise _not_stored(error, run, path) from None


def _not_stored(error: Exception, run: LoggedRun, path: str) -> InputError | OutageError:
    status = getattr(getattr(error, "response", None), "status_code", None)
    what = type(error).__name__ if status is None else f"{type(error).__name__}, HTTP {status}"
    if status in {401, 403}:
        return InputError(
            f"The artifact store of MLflow run {run.run_id} refused {path!r} (HTTP {status}). "
            "Hint: give the account of the connection the right to write artifacts."
        )
    if status in _CLIENT_ERRORS and status not in _BUSY:
        said = scrubbed(str(error), run.registry.server)[:_SAID_LENGTH].rstrip(".")
        return InputError(f"The artifact store of MLflow run {run.run_id} refused {path!r} ({what}): {said}.")
    of_s3 = artifact_store_error(error)
    if of_s3 is not None:
        return of_s3
    # Of a failed connection, the kind says enough; of the file system, its own words.
    reason = f": {error.strerror}" if isinstance(error, OSError) and error.strerror else ""
    return OutageError(
        f"Artifact {path!r} of MLflow run {run.run_id} could not be stored: {what}{reason}. "
        "The run is marked FAILED; a retry makes a new one."
    )


def _batches(items: Sequence[_Item], size: int) -> Iterator[list[_Item]]:
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch


def _checked_length(kind: str, key: str, value: Any, limit: int) -> str:
    text = str(value)
    if len(text) > limit:
        raise InputError(
            f"MLflow {kind} {key!r} must have at most {limit} characters; got {len(text)}. "
            "Hint: log it as a file with log_dict."
        )
    return text


def _finite(key: str, value: float) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise InputError(f"MLflow metric {key!r} must be finite; got {number}.")
    return number


def _source_type(uri: str) -> str:
    scheme = urlsplit(uri).scheme
    return "local" if scheme in {"", "file"} else scheme


def _schema(columns: Mapping[str, str] | None) -> str | None:
    if columns is None:
        return None
    # The form that MLflow's data set view reads.
    schema = json.dumps({"mlflow_colspec": [{"name": name, "type": kind} for name, kind in columns.items()]})
    return schema if len(schema) <= SCHEMA_LENGTH else None
