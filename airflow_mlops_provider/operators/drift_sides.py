"""The two sides of a drift comparison: from what the user names to profiles, and to rows where there are any.

It finds and counts; it compares nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.drift_policy import DriftPolicy
from airflow_mlops_provider.core.errors import InputError, NoDataError
from airflow_mlops_provider.hooks.data import open_data
from airflow_mlops_provider.hooks.mlflow import MlflowHook
from airflow_mlops_provider.operators.profile_data import profile_uri

if TYPE_CHECKING:
    import pyarrow as pa

    from airflow_mlops_provider.core.profile import DatasetProfile
    from airflow_mlops_provider.core.specs import Fingerprint
    from airflow_mlops_provider.data.source import DataSource
    from airflow_mlops_provider.registry.monitoring import Window
    from airflow_mlops_provider.registry.session import Registry

PREVIOUS = "previous"


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftRequest:
    """What to compare with what, rendered.

    Parameters
    ----------
    data : data argument or None
        Current rows.
    profile : address, XCom of a profiling task, or None
        Current profile, instead of `data`.
    model_name : str or None
        Whose champion gives the reference and the importances.
    reference : None, "previous", address, XCom of a profiling task, or data argument
        None: the champion's training rows.
    policy : DriftPolicy
        What counts as drift.
    window_end : str
        End of the time that the current rows cover.
    mlflow_conn_id, experiment_name : str
        Where profiles are, and where checks of this kind are recorded.
    """

    data: Any
    profile: Any
    model_name: str | None
    reference: Any
    policy: DriftPolicy
    window_end: str
    mlflow_conn_id: str
    experiment_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """What the current rows are compared with.

    Parameters
    ----------
    profile : DatasetProfile or None
        None: there is no window before this one.
    cells : DatasetProfile
        Whose grids to count the current rows in.
    label : str
        For people: what it is, or why there is none.
    tag : str
        Of whose cells they are; windows of one tag are comparable.
    trend : str
        What the trend of such checks is named.
    rows : DataSource, pyarrow.Table or None
        All its rows, where they can be read.
    sample : pyarrow.Table or None
        Some of its rows.
    importances : mapping of str to float, or None
        Of the champion's features.
    target : str or None
        Of the champion.
    """

    profile: DatasetProfile | None
    cells: DatasetProfile
    label: str
    tag: str
    trend: str
    rows: DataSource | pa.Table | None = None
    sample: pa.Table | None = None
    importances: Mapping[str, float] | None = None
    target: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Current:
    """The current rows: their profile, and they themselves unless only that was given."""

    profile: DatasetProfile
    rows: DataSource | None = None
    fingerprint: Fingerprint | None = None


def find_reference(request: DriftRequest, window: Window, opened: ExitStack) -> Reference:
    """Return what to compare with; rows that are opened for it are closed with `opened`."""
    with MlflowHook(request.mlflow_conn_id).open() as registry:
        champion = None
        if request.model_name is not None:
            wants_rows = request.data is not None and request.reference is None
            champion = _champion(registry, request.model_name, with_sample=wants_rows)
            if request.reference is None:
                return champion
            if request.reference == PREVIOUS:
                return _previous(registry, request, champion, window)
        found = _given_profile(registry, request.reference)
    found = found or _given_data(request, opened)
    if champion is None:
        return found
    return replace(found, importances=champion.importances, target=champion.target)


def find_current(request: DriftRequest, reference: Reference, opened: ExitStack) -> Current:
    """Return the current side, counted in the cells of the reference."""
    from airflow_mlops_provider.data.profiling import profile_source
    from airflow_mlops_provider.registry.profiles import read_profile

    if request.profile is None:
        source = opened.enter_context(open_data(request.data))
        grids = reference.cells.grids
        profile = profile_source(source, grids=grids, columns=_judged(source, request.policy, grids))
        return Current(profile=profile, rows=source, fingerprint=source.fingerprint())
    uri = profile_uri(request.profile)
    with MlflowHook(request.mlflow_conn_id).open() as registry:
        profile = read_profile(registry, uri)
    _check_cells(profile, reference, uri)
    return Current(profile=profile)


def _check_cells(profile: DatasetProfile, reference: Reference, uri: str) -> None:
    """Say early, and for people, that a profile was made for another champion."""
    wanted = reference.cells.grids
    other = [name for name, grid in profile.grids.items() if name in wanted and wanted[name] != grid]
    if other:
        raise InputError(
            f"The profile {uri} was not counted in the cells of {reference.label}: {len(other)} columns differ, "
            f"such as {other[0]!r}. Hint: profile the data again with the same model_name (has another version become "
            "the champion since?) or with like=."
        )


def _champion(registry: Registry, model_name: str, *, with_sample: bool) -> Reference:
    from airflow_mlops_provider.registry.champion import resolve
    from airflow_mlops_provider.registry.evidence import read_evidence
    from airflow_mlops_provider.registry.profiles import training_profile
    from airflow_mlops_provider.registry.reference import read_sample
    from airflow_mlops_provider.registry.versions import CHAMPION

    version = resolve(registry, model_name, None, alias=CHAMPION)
    profile = training_profile(registry, version)
    evidence, _ = read_evidence(registry, run_id=str(version.run_id), version=version.version, model_name=model_name)
    sample = read_sample(registry, version) if with_sample else None
    importances = {name: max(pair[0], 0.0) for name, pair in evidence.importances.items()}
    return Reference(
        profile=profile,
        cells=profile,
        label=f"the {evidence.rows} rows that {version.label} was trained on",
        tag=str(version.run_id),
        trend=f"{model_name} version {version.version}",
        # A part of the rows says nothing exact about all.
        rows=sample if sample is not None and sample.num_rows == profile.rows else None,
        sample=sample,
        importances=importances or None,
        target=evidence.target,
    )


def _previous(registry: Registry, request: DriftRequest, champion: Reference, window: Window) -> Reference:
    from airflow_mlops_provider.registry.monitoring import previous_profile

    experiment_id = registry.experiment_id(request.experiment_name)
    found = previous_profile(registry, experiment_id=experiment_id, reference=champion.tag, window=window)
    label = (
        f"there is no window before {window.tag} that was checked under {champion.trend}"
        if found is None
        else f"the window to {found[1]}"
    )
    return replace(champion, profile=None if found is None else found[0], label=label, rows=None, sample=None)


def _given_profile(registry: Registry, given: Any) -> Reference | None:
    from airflow_mlops_provider.registry.profiles import is_address, read_profile

    if not is_address(given) and not (isinstance(given, Mapping) and "profile_uri" in given):
        return None
    uri = profile_uri(given)
    profile = read_profile(registry, uri)
    return Reference(profile=profile, cells=profile, label=f"profile {uri}", tag=uri, trend=uri)


def _judged(source: DataSource, policy: DriftPolicy, known: Iterable[str]) -> list[str]:
    """Return the columns to count, absent ones of the reference too; what is ignored leaves no trace in a profile."""
    names = dict.fromkeys([*source.schema().names, *known])
    return [name for name in names if name not in policy.ignore_columns]


def _given_data(request: DriftRequest, opened: ExitStack) -> Reference:
    from airflow_mlops_provider.data.profiling import profile_source

    try:
        source = opened.enter_context(open_data(request.reference))
        profile = profile_source(source, columns=_judged(source, request.policy, ()))
    except NoDataError as error:
        # Who waits for current rows must not wait for these.
        raise InputError(f"The reference has no rows: {error}") from error
    fingerprint = source.fingerprint()
    return Reference(
        profile=profile,
        cells=profile,
        label=f"{fingerprint.uri} ({profile.rows} rows)",
        tag=fingerprint.sha256,
        trend=f"{fingerprint.uri} {fingerprint.digest[:8]}"[-250:],
        rows=source,
    )
