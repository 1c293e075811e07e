"""The operator against silent failures: are these predictions ones that the version would make of rows it knows?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.prediction_policy import PredictionPolicy
from airflow_mlops_provider.hooks.data import open_data
from airflow_mlops_provider.hooks.mlflow import MlflowHook
from airflow_mlops_provider.operators.base import MLOpsOperator
from airflow_mlops_provider.operators.check_record import record_check
from airflow_mlops_provider.operators.scoring_arguments import prediction_policy, scoring_experiment

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_mlops_provider.data.source import DataSource

VERSION_COLUMN = "model_version"


class ValidatePredictionsOperator(MLOpsOperator):
    """Check predictions for failures that raise no error, without labels.

    Missing values, one output for all rows, probabilities outside of 0 to 1, classes the model does not know, and
    shares of classes and scores unlike those that the version gave on its held-out rows.
    :class:`~airflow_mlops_provider.operators.batch_score.BatchScoreOperator` makes the same check before it publishes;
    this one is for predictions that something else made.

    Parameters
    ----------
    model_name : str
        Registered model. Templated.
    data : str, path, Asset, SqlQuery, or a list of these
        Predictions. Templated.
    version : str or int, optional
        Which version made them. Default: what their column ``model_version`` says, or without one, the version under
        `alias`. Templated.
    alias : str, default "champion"
        Templated.
    policy : PredictionPolicy or mapping of its fields, optional
        What counts as a failure.
    prediction_column, probability_column : str, default "prediction" and "probability"
        Where the predictions are: the class or number, and the probability of the positive class or, of several, of the
        predicted one.
    **kwargs
        See :class:`~airflow_mlops_provider.operators.base.MLOpsOperator`. The default experiment is
        ``<model_name> scoring``.

    Notes
    -----
    XCom: as of :class:`~airflow_mlops_provider.operators.check_feature_skew.CheckFeatureSkewOperator`.

    Examples
    --------
    >>> ValidatePredictionsOperator(task_id="check", model_name="churn", data="/scores/{{ ds }}.parquet")
    <Task(ValidatePredictionsOperator): check>
    """

    template_fields: Sequence[str] = (*MLOpsOperator.template_fields, "model_name", "data", "version", "alias")

    def __init__(
        self,
        *,
        model_name: str,
        data: Any,
        version: Any = None,
        alias: str = "champion",
        policy: PredictionPolicy | Mapping[str, Any] | None = None,
        prediction_column: str = "prediction",
        probability_column: str = "probability",
        experiment_name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(experiment_name=scoring_experiment(experiment_name, model_name), **kwargs)
        self.model_name = model_name
        self.data = data
        self.version = version
        self.alias = alias
        self.policy = prediction_policy(True if policy is None else policy) or PredictionPolicy()
        self.prediction_column = prediction_column
        self.probability_column = probability_column

    def perform(self, context: Context) -> dict[str, Any]:
        """Count the predictions in the cells of the held-out ones, and judge."""
        from airflow_mlops_provider.core.prediction_checks import check_predictions
        from airflow_mlops_provider.operators.scoring_counts import count_predictions
        from airflow_mlops_provider.operators.scoring_model import heldout_profile_of, read_version_evidence
        from airflow_mlops_provider.registry.champion import resolve

        with open_data(self.render_data(self.data, context)) as source:
            number = self.version if self.version not in (None, "") else _version_in(source)
            with MlflowHook(self.mlflow_conn_id).open() as registry:
                version = resolve(registry, self.model_name, number, alias=self.alias)
                evidence = read_version_evidence(registry, version)
                heldout = heldout_profile_of(registry, version)
            fingerprint = source.fingerprint()
            labels = tuple(str(one) for one in evidence.classes)
            columns = {"prediction": self.prediction_column, "probability": self.probability_column}
            columns = {ours: given for ours, given in columns.items() if ours in heldout.names}
            current = count_predictions(source, heldout, columns=columns, labels=labels)
        report = check_predictions(heldout, current, labels=labels, policy=self.policy)
        for one in report.findings:
            self.log.info("%s %s, %s: %s", one.severity, one.column, one.check, one.message)
        return record_check(
            self,
            context,
            kind="predictions",
            version=version,
            report=report,
            profile=current,
            fingerprint=fingerprint,
            policy=self.policy.to_dict(),
        )


def _version_in(source: DataSource) -> str | None:
    """Return the one version that the rows name; None when they name none."""
    import pyarrow.compute as pc

    if VERSION_COLUMN not in source.schema().names:
        return None
    found: set[str] = set()
    nulls = rows = 0
    for batch in source.batches([VERSION_COLUMN], dictionaries=True):
        column = batch.column(0)
        rows += len(column)
        nulls += int(pc.sum(pc.is_null(column, nan_is_null=True)).as_py() or 0)
        found |= {_number(one) for one in pc.unique(column).to_pylist() if one is not None and one == one}
        if len(found) > 1:
            raise InputError(
                f"The predictions are of several versions: {sorted(found)}. Hint: validate each apart, or name one."
            )
    if nulls:
        raise InputError(
            f"Column {VERSION_COLUMN!r} of the predictions is null in {nulls} of {rows} rows, so it does not say which "
            "version made them. Hint: leave these rows out, or give version= to judge all rows by that one."
        )
    return next(iter(found), None)


def _number(value: Any) -> str:
    # Tables that could not hold a missing whole number made it a float.
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
