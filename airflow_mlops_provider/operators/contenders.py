"""The versions of a contest, fetched, checked and loaded; one that nobody tried yet is tried apart first."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from airflow_mlops_provider.operators.comparison import Contender

if TYPE_CHECKING:
    import pyarrow as pa

    from airflow_mlops_provider.registry.models import LoadedModel
    from airflow_mlops_provider.registry.session import Registry
    from airflow_mlops_provider.registry.trial import Loading
    from airflow_mlops_provider.registry.versions import Version

TRIAL_ROWS = 100


def load_contender(
    registry: Registry, version: Version, *, known_sha256: str | None, table: pa.Table, loading: Loading
) -> tuple[Contender, LoadedModel]:
    """Load a version for a contest.

    Parameters
    ----------
    registry : Registry
        An open session.
    version : Version
        Which.
    known_sha256 : str or None
        Hash of the list of its files, when they were checked and tried before; None tries them now.
    table : pyarrow.Table
        Rows, of which the first 100 are predicted in the trial.
    loading : Loading
        What may be loaded, and the limits of the trial.

    Raises
    ------
    InputError
        Evidence or files are missing, damaged or changed, or the trial failed.
    """
    from airflow_mlops_provider.registry.evidence import read_evidence
    from airflow_mlops_provider.registry.models import load_version
    from airflow_mlops_provider.registry.trial import try_model
    from airflow_mlops_provider.training.columns import to_frame

    evidence, training_rows = read_evidence(
        registry, run_id=version.run_id, version=version.version, model_name=version.model_name
    )
    trial = None
    if known_sha256 is None:
        rows = to_frame(table.slice(0, TRIAL_ROWS), kinds=evidence.kinds) if len(table) else None
        trial = partial(try_model, where=version.title, loading=loading, rows=rows)
    loaded = load_version(
        registry,
        version,
        trusted_types=loading.trusted_types,
        allow_pickle=loading.allow_pickle,
        expected_sha256=known_sha256,
        trial=trial,
    )
    contender = Contender(
        label=version.label,
        model=loaded.model,
        evidence=evidence,
        training_rows=training_rows,
        size_bytes=loaded.manifest.size_bytes,
    )
    return contender, loaded
