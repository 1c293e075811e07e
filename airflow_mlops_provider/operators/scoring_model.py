"""A version made ready to score: its files, its record, and what its rows and predictions looked like in training."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.errors import InputError

if TYPE_CHECKING:
    from airflow_mlops_provider.core.profile import DatasetProfile
    from airflow_mlops_provider.registry.evidence import TrainingEvidence
    from airflow_mlops_provider.registry.runs import LoggedRun
    from airflow_mlops_provider.registry.session import Registry
    from airflow_mlops_provider.registry.versions import Version
    from airflow_mlops_provider.training.scoring import BatchScorer

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoringModel:
    """A version that can score.

    Parameters
    ----------
    version : Version
        Which.
    scorer : BatchScorer
        Its model.
    evidence : TrainingEvidence
        Its record.
    training : DatasetProfile or None
        Of its training rows; None when not asked for.
    heldout : DatasetProfile or None
        Of its predictions on held-out rows; None when not asked for.
    proven : bool
        Whether its stored example came out as in training; False when it carries none.
    """

    version: Version
    scorer: BatchScorer
    evidence: TrainingEvidence
    training: DatasetProfile | None
    heldout: DatasetProfile | None
    proven: bool

    @property
    def features(self) -> list[str]:
        """Columns the model needs, in the order of training."""
        return list(self.evidence.kinds)

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes; () for a regression."""
        return tuple(str(one) for one in self.evidence.classes)

    @property
    def expected(self) -> list[str]:
        """Columns that serving rows may have beside the features: what training saw and left out."""
        return [self.evidence.target, *self.evidence.dropped, *self.evidence.identity_columns]


def load_scoring_model(
    registry: Registry,
    version: Version,
    *,
    trusted_types: Sequence[str] = (),
    with_training: bool = True,
    with_heldout: bool = True,
) -> ScoringModel:
    """Load a version and make sure that its files are the model its record describes.

    Parameters
    ----------
    registry : Registry
        An open session.
    version : Version
        Which.
    trusted_types : sequence of str
        Types in the model, beyond scikit-learn's own, that may be loaded.
    with_training, with_heldout : bool
        Whether to read the profile of its training rows, and of its predictions on held-out rows.

    Raises
    ------
    InputError
        Files, record or a profile are missing or damaged, or do not belong together.
    """
    from airflow_mlops_provider.registry.champion import known_manifest
    from airflow_mlops_provider.registry.example import read_example
    from airflow_mlops_provider.registry.models import load_version
    from airflow_mlops_provider.training.example import check_example

    evidence = read_version_evidence(registry, version)
    # Of a champion the ledger knows what its files were when it was judged.
    judged = known_manifest(registry, version)
    loaded = load_version(registry, version, trusted_types=trusted_types, expected_sha256=judged)
    scorer = scorer_of(loaded.model, evidence, label=version.label)
    example = read_example(registry, version)
    if example is not None:
        check_example(example, kinds=evidence.kinds, scorer=scorer, label=version.label)
    return ScoringModel(
        version=version,
        scorer=scorer,
        evidence=evidence,
        training=training_profile_of(registry, version) if with_training else None,
        heldout=heldout_profile_of(registry, version) if with_heldout else None,
        proven=example is not None,
    )


def scorer_of(model: Any, evidence: TrainingEvidence, *, label: str) -> BatchScorer:
    """Return the scorer of a loaded model; refuses one that its record does not describe."""
    from airflow_mlops_provider.training.scoring import BatchScorer

    try:
        return BatchScorer(model, task=evidence.task, classes=evidence.classes, kinds=evidence.kinds)
    except InputError as error:
        raise InputError(f"The files of {label} do not fit its record: {error}") from error


def read_version_evidence(registry: Registry, version: Version) -> TrainingEvidence:
    """Read the record that a version carries."""
    from airflow_mlops_provider.registry.evidence import read_evidence

    evidence, _ = read_evidence(registry, run_id=version.run_id, version=version.version, model_name=version.model_name)
    return evidence


def training_profile_of(registry: Registry, version: Version) -> DatasetProfile:
    """Read the profile of a version's training rows."""
    from airflow_mlops_provider.registry.profiles import training_profile

    return training_profile(registry, version)


def heldout_profile_of(registry: Registry, version: Version) -> DatasetProfile:
    """Read the profile of a version's predictions on its held-out rows."""
    from airflow_mlops_provider.registry.profiles import read_profile
    from airflow_mlops_provider.registry.reference import PREDICTIONS_PROFILE

    return read_profile(registry, f"runs:/{version.run_id}/{PREDICTIONS_PROFILE}")


def store_example(run: LoggedRun, model: Any, evidence: TrainingEvidence) -> None:
    """Store example rows and what a model just trained says of them, made from the profile that the run holds.

    A model that cannot predict them is no worse for it; it is loaded without that proof then.
    """
    from airflow_mlops_provider.registry.example import write_example
    from airflow_mlops_provider.registry.profiles import TRAINING_PROFILE, read_profile
    from airflow_mlops_provider.training.example import make_example

    profile = read_profile(run.registry, f"runs:/{run.run_id}/{TRAINING_PROFILE}")
    try:
        scorer = scorer_of(model, evidence, label="the trained model")
        example = make_example(profile, kinds=evidence.kinds, scorer=scorer)
    except Exception as error:
        # A user's own estimator may fail in any way on rows that are made up.
        log.warning("No example is stored with the model: %s: %s", type(error).__name__, error)
        return
    write_example(run, example)


def load_shadows(
    registry: Registry, champion: Version, names: Sequence[str], *, trusted_types: Sequence[str]
) -> list[ScoringModel]:
    """Load what scores in the shadow of a version, each once; what cannot be loaded is logged and passed over.

    Parameters
    ----------
    registry : Registry
        An open session.
    champion : Version
        Who scores; shadowed by itself it would tell nothing.
    names : sequence of str
        Numbers of versions, or aliases, which may be unset just now.
    trusted_types : sequence of str
        Types in the models, beyond scikit-learn's own, that may be loaded.

    Raises
    ------
    InputError
        There is no version of a number.
    """
    from airflow_mlops_provider.registry.versions import by_alias, by_number

    shadows: dict[str, ScoringModel] = {}
    for name in map(str, names):
        find = by_number if name.isdigit() else by_alias
        found = find(registry, champion.model_name, name)
        if found is None or found.version == champion.version or found.version in shadows:
            log.info("Nothing to shadow with under %r", name)
            continue
        try:
            shadows[found.version] = load_scoring_model(
                registry, found, trusted_types=trusted_types, with_training=False, with_heldout=False
            )
        except InputError as error:
            log.warning("Shadow %s cannot be loaded: %s", found.label, error)
    return list(shadows.values())
