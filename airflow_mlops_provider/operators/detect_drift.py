"""The drift operator: is this window still the data that the champion knows?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.drift_policy import DriftPolicy
from airflow_mlops_provider.core.specs import OnReject
from airflow_mlops_provider.operators.base import MLOpsOperator
from airflow_mlops_provider.operators.drift_check import check_arguments, compare
from airflow_mlops_provider.operators.drift_record import record
from airflow_mlops_provider.operators.drift_sides import DriftRequest
from airflow_mlops_provider.operators.model_events import emit_drift, model_outlet
from airflow_mlops_provider.operators.tracking import context_tags

if TYPE_CHECKING:
    from airflow.sdk import Context

# The end of the data interval, or the time the run was to start where it has none: never "now".
WINDOW_END = "{{ dag_run.data_interval_end or dag_run.run_after }}"


class DetectDriftOperator(MLOpsOperator):
    """Compare current data with what a model was trained on, and say whether the difference matters.

    A column drifts when the difference is significant (corrected over all columns) and large enough to matter; the
    data set drifts when its columns' share, or the importance they hold for the champion, is large enough. Too few
    rows are ``insufficient_data``, not "no drift".

    Parameters
    ----------
    data : str, path, Asset, SqlQuery, or a list of these, optional
        Current rows. Templated.
    profile : str or XCom of a profiling task, optional
        Their profile instead, counted in the cells of the reference. Templated.
    model_name : str, optional
        The champion of this model gives the reference and the feature importances. Templated.
    reference : optional
        Default: the champion's training rows. ``"previous"``: the latest window before this one that was checked under
        the same champion; the first one is ``insufficient_data``. Else a profile (its address or the XCom of a
        profiling task), or data. Templated.
    policy : DriftPolicy or mapping of its fields, optional
        What counts as drift.
    window_end : str
        End of the time that the rows cover, ISO 8601; default the end of the run's data interval. It orders windows
        and places them in the trend. Templated.
    allow_insufficient_data : bool, default True
        Whether too few rows pass, with a warning in the log and the verdict in XCom; False makes them a bad verdict.
    on_drift : {"continue", "fail", "skip"}, default "continue"
        What drift does to the task. Asset events need a task that succeeds.
    **kwargs
        See :class:`~airflow_mlops_provider.operators.base.MLOpsOperator`. The default experiment is
        ``<model_name> monitoring``, or without a model the DAG's.

    Notes
    -----
    XCom: ``passed, verdict, reasons, drifted, n_drifted, n_judged, drift_share, importance_drifted, schema,
    model_name, reference, window_end, rows, multivariate, profile_uri, run_id, experiment_id`` and the addresses
    ``run_url, report_url``. Drift, and only drift, is an asset event on ``mlflow://models/<model_name>/drift``.

    Each check is an MLflow run with the profile, the report (``drift/report.html`` and ``.json``) and each column's
    effect as a metric; the run ``trend of <model_name> version <n>`` has the same metrics over the windows. The report
    shows counts and shares and never a row, but it names categories, new ones too: leave columns with personal data
    out by the policy's `ignore_columns`.

    Values are read again, and compared exactly, where a profile is too coarse to decide or both samples are small;
    that needs the rows of both sides: `data`, and as reference data or a champion that keeps all its training rows
    (`reference_sample_rows` of TrainModelOperator). A champion that keeps some of its rows is compared with the current
    ones over all columns together, too; this is reported and decides nothing.

    Examples
    --------
    >>> DetectDriftOperator(
    ...     task_id="drift",
    ...     model_name="churn",
    ...     data="/customers/{{ ds }}.parquet",
    ...     policy={"numeric": {"method": "psi", "threshold": 0.25}, "ignore_columns": ["customer_id"]},
    ... )
    <Task(DetectDriftOperator): drift>
    """

    template_fields: Sequence[str] = (
        *MLOpsOperator.template_fields,
        "data",
        "profile",
        "model_name",
        "reference",
        "window_end",
    )

    def __init__(
        self,
        *,
        data: Any = None,
        profile: Any = None,
        model_name: str | None = None,
        reference: Any = None,
        policy: DriftPolicy | Mapping[str, Any] | None = None,
        window_end: str = WINDOW_END,
        allow_insufficient_data: bool = True,
        on_drift: OnReject = "continue",
        experiment_name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(on_reject=on_drift, experiment_name=drift_experiment(experiment_name, model_name), **kwargs)
        check_arguments(data=data, profile=profile, model_name=model_name, reference=reference)
        self.data = data
        self.profile = profile
        self.model_name = model_name
        self.reference = reference
        self.policy = DriftPolicy.of(policy)
        self.window_end = window_end
        self.allow_insufficient_data = allow_insufficient_data
        self.outlet = None if model_name is None else model_outlet(model_name)
        if self.outlet is not None:
            self.outlets = [*self.outlets, self.outlet]

    def perform(self, context: Context) -> dict[str, Any]:
        """Compare, record, tell."""
        request = DriftRequest(
            data=self.render_data(self.data, context),
            profile=self.profile,
            model_name=self.model_name,
            reference=self.render_data(self.reference, context),
            policy=self.policy,
            window_end=str(self.window_end),
            mlflow_conn_id=self.mlflow_conn_id,
            experiment_name=self.experiment_name,
        )
        found = compare(request, log=self.log)
        result = record(found, tags=context_tags(context, type(self).__name__))
        if result["verdict"] == "insufficient_data":
            self.log.warning("Too few data to tell: %s", "; ".join(result["reasons"]))
        accepted = {"no_drift", "insufficient_data"} if self.allow_insufficient_data else {"no_drift"}
        if result["verdict"] == "drift" and self.outlet is not None:
            emit_drift(context, self.outlet, result)
        return {"passed": result["verdict"] in accepted, **result}


def drift_experiment(experiment_name: str | None, model_name: str | None) -> str:
    """Return the experiment that checks are recorded in: given, the model's own, or the DAG's."""
    if experiment_name is not None:
        return experiment_name
    # As registry.monitoring.monitoring_experiment says; that module is too heavy for parsing a DAG.
    return "{{ dag.dag_id }}" if model_name is None else f"{model_name} monitoring"
