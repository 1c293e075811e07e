"""Profiling operators: count a table, or a part of one, into a profile that others can be compared or merged with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.hooks.data import open_data
from airflow_mlops_provider.hooks.mlflow import MlflowHook
from airflow_mlops_provider.operators.base import MLOpsOperator
from airflow_mlops_provider.operators.tracking import context_tags

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_mlops_provider.core.profile import DatasetProfile
    from airflow_mlops_provider.core.specs import Fingerprint
    from airflow_mlops_provider.registry.session import Registry

# Of XCom, which goes through Airflow's database.
MAX_FINGERPRINTS = 100


class ProfileDataOperator(MLOpsOperator):
    """Count a table into a profile, in memory that does not grow with it.

    Profiles can be merged or compared only when they were counted in the same cells. Name a model, or another profile,
    whose cells to use; a mapped task per partition then profiles in parallel, and one task merges and decides.

    Parameters
    ----------
    data : str, path, Asset, SqlQuery, or a list of these
        What to count. Templated.
    model_name : str, optional
        Use the cells of the champion's training profile. Templated.
    like : str or XCom of a profiling task, optional
        Use the cells of this profile. Templated. Without either, cells are made from a sample of the data.
    columns : sequence of str, optional
        Count only these; default all, or those of the cells.
    **kwargs
        See :class:`~airflow_mlops_provider.operators.base.MLOpsOperator`.

    Notes
    -----
    XCom: ``profile_uri, rows, columns, data, run_id, experiment_id, run_url``; ``data`` is a list of fingerprints.

    Examples
    --------
    >>> ProfileDataOperator(task_id="profile", model_name="churn", data="/customers/{{ ds }}/")
    <Task(ProfileDataOperator): profile>
    """

    template_fields: Sequence[str] = (*MLOpsOperator.template_fields, "data", "model_name", "like")

    def __init__(
        self,
        *,
        data: Any,
        model_name: str | None = None,
        like: Any = None,
        columns: Sequence[str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if model_name is not None and like is not None:
            raise InputError("ProfileDataOperator takes the cells of model_name or of like, not of both.")
        self.data = data
        self.model_name = model_name
        self.like = like
        self.columns = columns

    def perform(self, context: Context) -> dict[str, Any]:
        """Count, and store the profile."""
        from airflow_mlops_provider.data.profiling import profile_source

        with MlflowHook(self.mlflow_conn_id).open() as registry:
            pattern = self._pattern(registry)
        with open_data(self.render_data(self.data, context)) as source:
            fingerprint = source.fingerprint()
            profile = profile_source(source, grids=None if pattern is None else pattern.grids, columns=self.columns)
        self.log.info("Counted %s: %d rows, %d columns", fingerprint.uri, profile.rows, len(profile.columns))
        return store_profile(self, context, profile, fingerprints=[fingerprint])

    def _pattern(self, registry: Registry) -> DatasetProfile | None:
        from airflow_mlops_provider.registry.champion import resolve
        from airflow_mlops_provider.registry.profiles import read_profile, training_profile
        from airflow_mlops_provider.registry.versions import CHAMPION

        if self.model_name is not None:
            return training_profile(registry, resolve(registry, self.model_name, None, alias=CHAMPION))
        return None if self.like is None else read_profile(registry, profile_uri(self.like))


class MergeProfilesOperator(MLOpsOperator):
    """Merge the profiles of disjoint parts of a data set into the profile of the whole.

    Parameters
    ----------
    profiles : list of str or of XComs of profiling tasks
        At least one, counted in the same cells; for example ``ProfileDataOperator.partial(…).expand(data=parts)
        .output``. Templated.
    **kwargs
        See :class:`~airflow_mlops_provider.operators.base.MLOpsOperator`.

    Notes
    -----
    XCom: as of :class:`ProfileDataOperator`; ``data`` holds the fingerprints of all parts, or none when a part was
    given by its address or they are more than 100.

    Examples
    --------
    >>> MergeProfilesOperator(task_id="merge", profiles="{{ ti.xcom_pull('profile') }}")
    <Task(MergeProfilesOperator): merge>
    """

    template_fields: Sequence[str] = (*MLOpsOperator.template_fields, "profiles")

    def __init__(self, *, profiles: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.profiles = profiles

    def perform(self, context: Context) -> dict[str, Any]:
        """Read, merge, store."""
        from airflow_mlops_provider.core.profile_pairs import merge
        from airflow_mlops_provider.registry.profiles import read_profile

        if isinstance(self.profiles, str | dict):
            raise InputError(f"profiles of MergeProfilesOperator must be a list; got {type(self.profiles).__name__}.")
        given = list(self.profiles)
        uris = [profile_uri(one) for one in given]
        if len(set(uris)) < len(uris):
            raise InputError("A profile is given twice, so its rows would count twice: each part must come once.")
        with MlflowHook(self.mlflow_conn_id).open() as registry:
            merged = merge([read_profile(registry, uri) for uri in uris])
        self.log.info("Merged %d profiles: %d rows", len(uris), merged.rows)
        return store_profile(self, context, merged, fingerprints=_fingerprints_of(given))


def profile_uri(given: Any) -> str:
    """Return the address of a profile that is given as such, or as the XCom of the task that made it."""
    uri = given.get("profile_uri") if isinstance(given, dict) else given
    if not isinstance(uri, str):
        raise InputError(f"A profile must be given as its address or as the XCom of a profiling task; got {given!r}.")
    return uri


def _fingerprints_of(given: Sequence[Any]) -> list[Fingerprint]:
    """Return of which data the profiles are: all of them, or none, as where a profile is given by its address."""
    from airflow_mlops_provider.core.specs import Fingerprint

    kept = [one.get("data") or () if isinstance(one, dict) else () for one in given]
    if not all(kept) or sum(len(part) for part in kept) > MAX_FINGERPRINTS:
        return []
    try:
        return [Fingerprint(**fields) for part in kept for fields in part]
    except TypeError as error:
        raise InputError(f"The XCom of a profiling task says of its data what is no fingerprint: {error}.") from error


def store_profile(
    operator: MLOpsOperator, context: Context, profile: DatasetProfile, *, fingerprints: Sequence[Fingerprint]
) -> dict[str, Any]:
    """Store a profile in a run of its own and return the XCom."""
    from airflow_mlops_provider.registry.profiles import write_profile
    from airflow_mlops_provider.registry.runs import logged_run

    with (
        MlflowHook(operator.mlflow_conn_id).open() as registry,
        logged_run(
            registry,
            experiment_name=operator.experiment_name,
            run_name=f"profile {operator.task_id}",
            tags=context_tags(context, type(operator).__name__),
        ) as run,
    ):
        for one in fingerprints:
            run.log_dataset(one, context="profile")
        run.log_metrics({"rows": profile.rows, "columns": len(profile.columns)})
        return {
            "profile_uri": write_profile(run, profile),
            "rows": profile.rows,
            "columns": len(profile.columns),
            "data": [one.to_dict() for one in fingerprints],
            "run_id": run.run_id,
            "experiment_id": run.experiment_id,
            "run_url": run.url(),
        }
