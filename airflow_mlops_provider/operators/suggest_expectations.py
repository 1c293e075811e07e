"""The operator that writes a first suite of expectations from data known to be good, for people to review."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.specs import from_mapping
from airflow_mlops_provider.core.suggest import SuggestSettings, suggest
from airflow_mlops_provider.hooks.data import airflow_access, open_data
from airflow_mlops_provider.hooks.mlflow import MlflowHook
from airflow_mlops_provider.operators.base import MLOpsOperator
from airflow_mlops_provider.operators.tracking import context_tags

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_mlops_provider.core.profile import DatasetProfile
    from airflow_mlops_provider.registry.session import Registry

SUITE = "suite/expectations.json"


class SuggestExpectationsOperator(MLOpsOperator):
    """Suggest a Great Expectations suite from a profile: existence, missing shares, signs, sets, ranges, means.

    Great Expectations itself makes none since version 1. Read the suggestion, keep what you mean, commit the file, and
    give it to :class:`~airflow_mlops_provider.operators.validate_data.ValidateDataOperator` as ``suite``.

    Parameters
    ----------
    data : str, path, Asset, SqlQuery, or a list of these, optional
        Data known to be good. Templated.
    model_name : str, optional
        Instead of `data`: the rows the champion was trained on. Templated.
    output_path : str, optional
        Path or ``s3://`` address to write the suite to as well; nothing may be there yet. Templated.
    columns : sequence of str, optional
        Default all.
    settings : mapping, optional
        Margins: fields of :class:`~airflow_mlops_provider.core.suggest.SuggestSettings`.
    **kwargs
        See :class:`~airflow_mlops_provider.operators.base.MLOpsOperator`.

    Notes
    -----
    XCom: ``expectations`` (their number), ``suite_artifact, output_path, run_id, experiment_id, run_url, report_url``.

    Examples
    --------
    >>> SuggestExpectationsOperator(task_id="suggest", model_name="churn", output_path="/suites/churn.json")
    <Task(SuggestExpectationsOperator): suggest>
    """

    template_fields: Sequence[str] = (*MLOpsOperator.template_fields, "data", "model_name", "output_path")

    def __init__(
        self,
        *,
        data: Any = None,
        model_name: str | None = None,
        output_path: str | None = None,
        columns: Sequence[str] | None = None,
        settings: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if (data is None) == (model_name is None):
            raise InputError("SuggestExpectationsOperator takes either data or model_name.")
        self.data = data
        self.model_name = model_name
        self.output_path = output_path
        self.columns = columns
        self.settings = from_mapping(SuggestSettings, settings or {})

    def perform(self, context: Context) -> dict[str, Any]:
        """Profile, suggest, store."""
        from airflow_mlops_provider.data.output import write_new
        from airflow_mlops_provider.registry.runs import logged_run

        with MlflowHook(self.mlflow_conn_id).open() as registry:
            profile = None if self.model_name is None else self._champion_profile(registry)
        if profile is None:
            profile = self._profile(context)
        expectations = suggest(profile, columns=self.columns, settings=self.settings)
        suite = {"name": f"{self.dag_id}.{self.task_id}", "expectations": expectations}
        if self.output_path:
            write_new(self.output_path, json.dumps(suite, indent=2), access=airflow_access())
        with (
            MlflowHook(self.mlflow_conn_id).open() as registry,
            logged_run(
                registry,
                experiment_name=self.experiment_name,
                run_name=f"suggest {self.task_id}",
                tags=context_tags(context, type(self).__name__),
            ) as run,
        ):
            run.log_metrics({"rows": profile.rows, "expectations": len(expectations)})
            run.log_dict(suite, SUITE)
            return {
                "expectations": len(expectations),
                "suite_artifact": f"runs:/{run.run_id}/{SUITE}",
                "output_path": self.output_path,
                "run_id": run.run_id,
                "experiment_id": run.experiment_id,
                "run_url": run.url(),
                "report_url": run.url(SUITE),
            }

    def _champion_profile(self, registry: Registry) -> DatasetProfile:
        from airflow_mlops_provider.registry.champion import resolve
        from airflow_mlops_provider.registry.profiles import training_profile
        from airflow_mlops_provider.registry.versions import CHAMPION

        return training_profile(registry, resolve(registry, str(self.model_name), None, alias=CHAMPION))

    def _profile(self, context: Context) -> DatasetProfile:
        from airflow_mlops_provider.data.profiling import profile_source

        with open_data(self.render_data(self.data, context)) as source:
            return profile_source(source, columns=self.columns)
