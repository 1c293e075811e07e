"""The operator for the time before labels come: how well does the model do on rows whose truth nobody knows yet?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.estimate_policy import EstimatePolicy
from airflow_mlops_provider.core.specs import OnReject
from airflow_mlops_provider.operators.base import MLOpsOperator
from airflow_mlops_provider.operators.detect_drift import WINDOW_END, drift_experiment
from airflow_mlops_provider.operators.estimate_check import EstimateRequest, estimate_performance
from airflow_mlops_provider.operators.estimate_record import record
from airflow_mlops_provider.operators.tracking import context_tags

if TYPE_CHECKING:
    from airflow.sdk import Context


class EstimatePerformanceOperator(MLOpsOperator):
    """Estimate a classifier's performance without labels, and say whether it has become worse.

    The version's held-out rows, whose truth is known, say what its probabilities mean; the probabilities of the scored
    rows then give the confusion matrix to be expected, and from it ROC AUC, average precision, accuracy, precision,
    recall, F1 and losses, each with an interval in which the realised value will lie. It is a drop when the deciding
    metric is worse than on the held-out rows beyond chance *and* by enough to matter.

    It sees that rows have become harder. It cannot see that the relation between features and target has changed
    (concept drift), nor that rows come from where there were no held-out ones: only labels show that, so this is the
    time before :class:`~airflow_mlops_provider.operators.check_performance.CheckPerformanceOperator`, not instead.

    Parameters
    ----------
    model_name : str
        Registered model; a binary or multiclass classifier with probabilities. Templated.
    predictions : XCom of a scoring task, str, path, Asset, SqlQuery, or a list of these
        What BatchScoreOperator wrote, of one window or of many. Templated.
    key_columns : sequence of str, default ()
        Columns that name a scored row; with them, a row that was scored again counts once.
    policy : EstimatePolicy or mapping of its fields, optional
        What counts as a drop, and what an estimate needs.
    window_end : str
        The time as of which to judge, ISO 8601; default the end of the run's data interval. Templated.
    version : str or int, optional
        Which version to judge; rows that others scored are left out. Default: that of `alias`. Templated.
    alias : str, default "champion"
        Templated.
    time_column : str, default "scored_at"
        When a row was scored.
    allow_insufficient_data : bool, default True
        Whether rows from which nothing can be told pass, with a warning in the log and the verdict in XCom; False makes
        them a bad verdict.
    on_drop : {"continue", "fail", "skip"}, default "continue"
        What a drop does to the task.
    **kwargs
        See :class:`~airflow_mlops_provider.operators.base.MLOpsOperator`. The default experiment is
        ``<model_name> monitoring``.

    Notes
    -----
    XCom: ``passed, verdict, reasons, metric, value, lower, upper, reference, difference, difference_lower,
    difference_upper, estimated_rows, estimates, model_name, version, window_end, run_id, experiment_id, run_url,
    report_url, model_version_url``. A difference is negative where the model is worse, also for losses.

    ``insufficient_data``: too few rows, here or held out; one probability for all rows; scores beyond all held-out
    ones; held-out rows on which a higher score does not mean a higher probability, so that no calibration helps.
    Refused: a regression, a version trained before held-out probabilities were kept, rows without probabilities, and
    probabilities that are none.

    Examples
    --------
    >>> EstimatePerformanceOperator(
    ...     task_id="estimate",
    ...     model_name="churn",
    ...     predictions="/scores/{{ ds }}.parquet",
    ...     policy={"metric": "roc_auc", "max_drop": 0.03},
    ... )
    <Task(EstimatePerformanceOperator): estimate>
    """

    template_fields: Sequence[str] = (
        *MLOpsOperator.template_fields,
        "model_name",
        "predictions",
        "window_end",
        "version",
        "alias",
    )

    def __init__(
        self,
        *,
        model_name: str,
        predictions: Any,
        key_columns: Sequence[str] = (),
        policy: EstimatePolicy | Mapping[str, Any] | None = None,
        window_end: str = WINDOW_END,
        version: Any = None,
        alias: str = "champion",
        time_column: str = "scored_at",
        allow_insufficient_data: bool = True,
        on_drop: OnReject = "continue",
        experiment_name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(on_reject=on_drop, experiment_name=drift_experiment(experiment_name, model_name), **kwargs)
        if isinstance(key_columns, str):
            raise InputError(
                f"key_columns of {type(self).__name__} must be a list; got {key_columns!r}. "
                f"Hint: write [{key_columns!r}]."
            )
        self.model_name = model_name
        self.predictions = predictions
        self.key_columns = tuple(key_columns)
        self.policy = EstimatePolicy.of(policy)
        self.window_end = window_end
        self.version = version
        self.alias = alias
        self.time_column = time_column
        self.allow_insufficient_data = allow_insufficient_data

    def perform(self, context: Context) -> dict[str, Any]:
        """Estimate, record, tell."""
        found = estimate_performance(
            EstimateRequest(
                model_name=self.model_name,
                predictions=self.render_data(self.predictions, context),
                key_columns=self.key_columns,
                policy=self.policy,
                window_end=str(self.window_end),
                version=self.version,
                alias=self.alias,
                time_column=self.time_column,
                mlflow_conn_id=self.mlflow_conn_id,
                experiment_name=self.experiment_name,
            ),
            log=self.log,
        )
        result = record(found, tags=context_tags(context, type(self).__name__))
        if result["verdict"] == "insufficient_data":
            self.log.warning("Nothing can be estimated: %s", "; ".join(result["reasons"]))
        accepted = {"no_drop", "insufficient_data"} if self.allow_insufficient_data else {"no_drop"}
        return {"passed": result["verdict"] in accepted, **result}
