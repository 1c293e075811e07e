"""The version sensor: waits until a model has a version, or an alias points at one, that is new enough."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.errors import InputError, OutageError
from airflow_mlops_provider.core.model_watch import lowest_version
from airflow_mlops_provider.core.names import check_alias, check_model_name
from airflow_mlops_provider.hooks.mlflow import MlflowHook
from airflow_mlops_provider.links.mlflow import MlflowModelVersionLink
from airflow_mlops_provider.sensors.waiting import WaitingSensor

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_mlops_provider.registry.session import Registry
    from airflow_mlops_provider.registry.versions import Version
    from airflow_mlops_provider.triggers.model_version import ModelVersionTrigger

CHAMPION = "champion"


class ModelVersionSensor(WaitingSensor):
    """Wait for a version of a model.

    A model, version or alias that is not there yet means waiting on, and so does an MLflow that does not answer: the
    task has until its time-out. A refused login fails the task at once. Deferrable, the task gives its slot back and
    the triggerer asks MLflow.

    Parameters
    ----------
    model_name : str
        Registered model; it need not exist yet. Templated.
    alias : str, optional
        Wait for this alias, such as ``champion``; without it, the newest version is looked at. Templated.
    newer_than : str or int, optional
        Wait for a version with a higher number, such as ``"{{ ti.xcom_pull('train')['version'] }}"``; what renders to
        nothing or ``None`` stands for no version, so that any will do. Templated.
    min_version : str or int, optional
        Wait for this version or a later one. Templated.
    mlflow_conn_id : str, default "mlflow_default"
        Connection of type ``mlflow``. Templated.
    deferrable : bool, default False
        Wait in the triggerer, which reads the connection itself.
    **kwargs
        Of Airflow's ``BaseSensorOperator``: ``poke_interval``, ``timeout``, ``soft_fail``, ``mode``…

    Raises
    ------
    InputError
        None of `alias`, `newer_than`, `min_version` is given, or both of the latter are.
    InvalidInputError
        A name or number that a template gave is none, or the MLflow server refuses the account. Not retried.
    AirflowSensorTimeout
        The version did not come within ``timeout``.

    Notes
    -----
    XCom: ``model_name, alias, version, run_id, created_at, since, model_version_url``. ``since`` is the time from which
    on the version is what was waited for: without an alias when it was made, for the champion when it was promoted,
    by the model's ledger; None where nobody recorded it, since MLflow keeps no times of aliases.

    Examples
    --------
    >>> ModelVersionSensor(task_id="first_champion", model_name="churn", alias="champion", deferrable=True)
    <Task(ModelVersionSensor): first_champion>
    """

    template_fields: Sequence[str] = ("mlflow_conn_id", "model_name", "alias", "newer_than", "min_version")
    operator_extra_links = (MlflowModelVersionLink(),)

    def __init__(
        self,
        *,
        model_name: str,
        alias: str | None = None,
        newer_than: str | int | None = None,
        min_version: str | int | None = None,
        mlflow_conn_id: str = "mlflow_default",
        deferrable: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(deferrable=deferrable, **kwargs)
        if alias is None and newer_than is None and min_version is None:
            raise InputError(
                "ModelVersionSensor must know what to wait for: alias, newer_than or min_version. "
                "Hint: alias='champion' waits for a first champion."
            )
        if newer_than is not None and min_version is not None:
            raise InputError("ModelVersionSensor takes newer_than or min_version, not both.")
        self.model_name = model_name
        self.alias = alias
        self.newer_than = newer_than
        self.min_version = min_version
        self.mlflow_conn_id = mlflow_conn_id

    def look(self, context: Context) -> dict[str, Any] | None:
        """Return the version, or None when it is not there or MLflow does not answer."""
        lowest = self._lowest()
        try:
            with MlflowHook(self.mlflow_conn_id).open() as registry:
                found = self._find(registry)
                if found is None or int(found.version) < lowest:
                    self.log.info("%s; waiting for version %d or later", self._said(found), lowest)
                    return None
                return self._result(registry, found)
        except OutageError as error:
            self.log.warning("%s Waiting on.", error)
            return None

    def trigger(self) -> ModelVersionTrigger:
        """Return what asks MLflow from the triggerer."""
        from airflow_mlops_provider.triggers.model_version import ModelVersionTrigger

        return ModelVersionTrigger(
            model_name=self.model_name,
            alias=self.alias or None,
            min_version=self._lowest(),
            mlflow_conn_id=self.mlflow_conn_id,
            poll_interval_seconds=self.poke_interval,
        )

    def _lowest(self) -> int:
        """Check what templates gave, and return the lowest version number that will do."""
        check_model_name(self.model_name)
        if self.alias:
            check_alias(self.alias)
        return lowest_version(newer_than=self.newer_than, min_version=self.min_version)

    def _find(self, registry: Registry) -> Version | None:
        from airflow_mlops_provider.registry.champion import find
        from airflow_mlops_provider.registry.versions import newest

        return find(registry, self.model_name, self.alias) if self.alias else newest(registry, self.model_name)

    def _said(self, found: Version | None) -> str:
        what = f"alias {self.alias!r}" if self.alias else "newest version"
        return f"Model {self.model_name!r} has no {what}" if found is None else f"Its {what} is {found.label}"

    def _result(self, registry: Registry, found: Version) -> dict[str, Any]:
        created_at = datetime.fromtimestamp(found.created_ms / 1000, UTC).isoformat(timespec="seconds")
        return {
            "model_name": found.model_name,
            "alias": self.alias or None,
            "version": found.version,
            "run_id": found.run_id,
            "created_at": created_at,
            "since": self._since(registry, found) if self.alias else created_at,
            "model_version_url": registry.version_url(model_name=found.model_name, version=found.version),
        }

    def _since(self, registry: Registry, found: Version) -> str | None:
        """Return when the champion was made one, which the ledger knows unless a person has just set it."""
        from airflow_mlops_provider.core.ledger import as_tables
        from airflow_mlops_provider.registry.ledger import read_history

        if self.alias != CHAMPION:
            return None
        reigns = as_tables(read_history(registry, found.model_name))["reigns"]
        last = reigns[-1] if reigns else None
        return str(last["since"]) if last and last["version"] == found.version and last["until"] is None else None
