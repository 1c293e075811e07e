"""What every operator of this package shares: error translation, verdict delivery, alerts and links.

An operator implements :meth:`MLOpsOperator.perform` and nothing else of the task protocol. This module must not
import heavy libraries, because every operator, and so every DAG file that names one, imports it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, get_args

from airflow.providers.common.compat.sdk import AirflowSkipException
from airflow.sdk import BaseOperator

from airflow_mlops_provider.core.errors import DataChangedError, InputError, OutageError
from airflow_mlops_provider.core.specs import OnReject, SqlQuery
from airflow_mlops_provider.exceptions import InvalidInputError, RejectedError, RetryableError
from airflow_mlops_provider.links.mlflow import MlflowModelVersionLink, MlflowReportLink, MlflowRunLink
from airflow_mlops_provider.notifications.send import AlertTarget, send_alerts

if TYPE_CHECKING:
    from airflow.sdk import Context


@contextmanager
def airflow_errors() -> Iterator[None]:
    """Turn the library layers' errors into ones that tell Airflow whether to try again."""
    try:
        yield
    except InputError as error:
        raise InvalidInputError(str(error)) from error
    except (DataChangedError, OutageError) as error:
        raise RetryableError(str(error)) from error


class MLOpsOperator(BaseOperator):
    """Base of the operators: one result as small JSON, and one way to deliver a bad verdict.

    A result that holds ``"passed": False`` is a rejection. It is pushed to XCom first, then the alerts are sent,
    then `on_reject` decides, so that downstream tasks and people can read a verdict that failed its task.

    Parameters
    ----------
    mlflow_conn_id : str, default "mlflow_default"
        Airflow connection of type ``mlflow``. When ``mlflow_default`` is not defined, a SQLite store under
        ``AIRFLOW_HOME`` serves.
    experiment_name : str, default "{{ dag.dag_id }}"
        MLflow experiment the task logs to; created when missing.
    on_reject : {"fail", "skip", "continue"}, default "fail"
        What a bad verdict does: fail without retry, skip this task (and what depends on its success), or let the
        run go on.
    alerts : sequence of notifiers or callables, optional
        Called with the context when the verdict is bad; ``verdict`` in it is the result, ``alert`` a ready message
        (:class:`~airflow_mlops_provider.notifications.alert.Alert`). One that fails changes nothing; its name is in the
        log, and in XCom under ``alerts_failed``.

    Raises
    ------
    InvalidInputError
        The data, the model, a setting or a permission is wrong; the message says which. Not retried.
    RejectedError
        The verdict is bad and ``on_reject="fail"``; it is in XCom. Not retried.
    RetryableError
        MLflow, a database or a store does not answer, or the data changed while they were read. Retried as the task's
        ``retries`` say.
    """

    template_fields: Sequence[str] = ("mlflow_conn_id", "experiment_name")
    # A path that ends like a template must stay a path.
    template_ext: Sequence[str] = ()
    ui_color = "#d7ecf5"
    operator_extra_links = (MlflowRunLink(), MlflowReportLink(), MlflowModelVersionLink())

    def __init__(
        self,
        *,
        mlflow_conn_id: str = "mlflow_default",
        experiment_name: str = "{{ dag.dag_id }}",
        on_reject: OnReject = "fail",
        alerts: Sequence[AlertTarget] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.mlflow_conn_id = mlflow_conn_id
        self.experiment_name = experiment_name
        if on_reject not in get_args(OnReject):
            raise InputError(
                f"on_reject of {type(self).__name__} must be one of {', '.join(get_args(OnReject))}; got {on_reject!r}."
            )
        self.on_reject = on_reject
        self.alerts = alerts

    @abstractmethod
    def perform(self, context: Context) -> dict[str, Any]:
        """Do the work and return a small JSON object; ``"passed": False`` in it is a rejection."""

    def execute(self, context: Context) -> dict[str, Any]:
        """Run the task; the returned object is its XCom."""
        with airflow_errors():
            result = self.perform(context)
        if result.get("passed", True):
            return result
        context["ti"].xcom_push(key="return_value", value=result)
        failed = send_alerts(
            self.alerts,
            context=context,
            verdict=result,
            severity="error" if self.on_reject == "fail" else "warning",
            mlflow_conn_id=self.mlflow_conn_id,
            log=self.log,
        )
        if failed:
            result = {**result, "alerts_failed": failed}
            context["ti"].xcom_push(key="return_value", value=result)
        message = f"{self.task_id}: rejected: {'; '.join(result['reasons'])}"
        if self.on_reject == "fail":
            raise RejectedError(message)
        if self.on_reject == "skip":
            raise AirflowSkipException(message)
        self.log.warning("%s. Going on, as a bad verdict is told to.", message)
        return result

    def render_data(self, data: Any, context: Context) -> Any:
        """Render a query; see :func:`render_query`."""
        return render_query(self, data, context)


def render_query(operator: BaseOperator, data: Any, context: Context) -> Any:
    """Render the SQL and the bound values of a query, once; Airflow leaves it alone because it is frozen."""
    if isinstance(data, SqlQuery):
        sql, parameters = operator.render_template((data.sql, data.parameters), context)
        return replace(data, sql=sql, parameters=parameters)
    return data
