"""The skew operator: are these rows of the kind that a version was trained on?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.skew_policy import SkewPolicy
from airflow_mlops_provider.hooks.data import open_data
from airflow_mlops_provider.hooks.mlflow import MlflowHook
from airflow_mlops_provider.operators.base import MLOpsOperator
from airflow_mlops_provider.operators.check_record import record_check
from airflow_mlops_provider.operators.scoring_arguments import scoring_experiment, skew_policy

if TYPE_CHECKING:
    from airflow.sdk import Context


class CheckFeatureSkewOperator(MLOpsOperator):
    """Compare serving features with what the very version that will score them was trained on.

    :class:`~airflow_mlops_provider.operators.batch_score.BatchScoreOperator` makes the same check while it scores; this
    one is for rows that something else scores, or to know before.

    Parameters
    ----------
    model_name : str
        Registered model. Templated.
    data : str, path, Asset, SqlQuery, or a list of these
        Serving rows. Templated.
    alias : str, default "champion"
        Which version. Templated.
    version : str or int, optional
        Its number, instead of `alias`. Templated.
    policy : SkewPolicy or mapping of its fields, optional
        What counts as skew.
    known_columns : sequence of str, default ()
        Columns that are no features and expected, such as keys; others are reported as extra.
    **kwargs
        See :class:`~airflow_mlops_provider.operators.base.MLOpsOperator`. The default experiment is
        ``<model_name> scoring``.

    Notes
    -----
    XCom: ``passed, model_name, version, verdict, reasons, findings, rows, fingerprint, profile_uri, run_id,
    experiment_id, run_url, report_url, model_version_url``. ``DetectDriftOperator(profile=…)`` takes the XCom.

    Examples
    --------
    >>> CheckFeatureSkewOperator(
    ...     task_id="skew", model_name="churn", data="/customers/{{ ds }}.parquet", known_columns=["customer_id"]
    ... )
    <Task(CheckFeatureSkewOperator): skew>
    """

    template_fields: Sequence[str] = (*MLOpsOperator.template_fields, "model_name", "data", "alias", "version")

    def __init__(
        self,
        *,
        model_name: str,
        data: Any,
        alias: str = "champion",
        version: Any = None,
        policy: SkewPolicy | Mapping[str, Any] | None = None,
        known_columns: Sequence[str] = (),
        experiment_name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(experiment_name=scoring_experiment(experiment_name, model_name), **kwargs)
        if isinstance(known_columns, str):
            raise InputError(f"known_columns of CheckFeatureSkewOperator must be a list; got {known_columns!r}.")
        self.model_name = model_name
        self.data = data
        self.alias = alias
        self.version = version
        self.policy = skew_policy(True if policy is None else policy) or SkewPolicy()
        self.known_columns = tuple(known_columns)

    def perform(self, context: Context) -> dict[str, Any]:
        """Count the rows in the cells of training, and judge."""
        from airflow_mlops_provider.core.skew import check_skew
        from airflow_mlops_provider.operators.scoring_counts import count_features
        from airflow_mlops_provider.operators.scoring_model import read_version_evidence, training_profile_of
        from airflow_mlops_provider.registry.champion import resolve

        with MlflowHook(self.mlflow_conn_id).open() as registry:
            version = resolve(registry, self.model_name, self.version, alias=self.alias)
            evidence = read_version_evidence(registry, version)
            training = training_profile_of(registry, version)
        features = list(evidence.kinds)
        with open_data(self.render_data(self.data, context)) as source:
            fingerprint = source.fingerprint()
            serving = count_features(source, training, features=features)
            order = source.schema().names
        report = check_skew(
            training,
            serving,
            features=features,
            policy=self.policy,
            order=order,
            known_columns=[evidence.target, *evidence.dropped, *evidence.identity_columns, *self.known_columns],
        )
        for one in report.findings:
            self.log.info("%s %s, %s: %s", one.severity, one.feature, one.check, one.message)
        return record_check(
            self,
            context,
            kind="features",
            version=version,
            report=report,
            profile=serving,
            fingerprint=fingerprint,
            policy=self.policy.to_dict(),
        )
