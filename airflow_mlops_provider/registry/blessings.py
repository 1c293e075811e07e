"""The recorded verdict of an evaluation, bound to the version it judged and the champion it was judged against.

The record is a JSON artifact of the evaluation's run; a tag of the version says where it is and what its bytes hash to,
so that a record that was exchanged later is not believed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.registry.artifacts import required
from airflow_mlops_provider.registry.ledger_store import patiently

if TYPE_CHECKING:
    from airflow_mlops_provider.registry.runs import LoggedRun
    from airflow_mlops_provider.registry.session import Registry
    from airflow_mlops_provider.registry.versions import Version

TAG = "mlops.blessing"
ARTIFACT = "blessing/blessing.json"


def write_blessing(run: LoggedRun, version: Version, blessing: Mapping[str, Any]) -> None:
    """Store a blessing and tie it to its version.

    Parameters
    ----------
    run : LoggedRun
        The evaluation's run, which keeps the record.
    version : Version
        The judged version.
    blessing : mapping
        Plain JSON values, with at least ``verdict``, ``passed``, ``champion_version`` and ``evaluated_at``.
    """
    text = _text(blessing)
    run.log_text(text, ARTIFACT)
    tag = {
        "verdict": blessing["verdict"],
        "champion_version": blessing["champion_version"],
        "evaluated_at": blessing["evaluated_at"],
        "run_id": run.run_id,
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
    }
    set_tag = partial(run.registry.client.set_model_version_tag, version.model_name, version.version, TAG)
    # Two evaluations of one version may be the first to set it at once.
    patiently(run.registry, lambda: set_tag(json.dumps(tag)))


def read_blessing(registry: Registry, version: Version) -> dict[str, Any] | None:
    """Return the latest blessing of a version, or None when it was never evaluated.

    Raises
    ------
    InputError
        The record is missing, damaged, or belongs to another version.
    """
    if TAG not in version.tags:
        return None
    hint = "Hint: evaluate the version again."
    try:
        tag = json.loads(version.tags[TAG])
        text = required(registry, run_id=tag["run_id"], path=ARTIFACT)
        if hashlib.sha256(text).hexdigest() != tag["sha256"]:
            raise InputError("it is not the one that was recorded")
        blessing: dict[str, Any] = json.loads(text)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"The blessing of {version.label} cannot be used: {str(error).rstrip('.')}. {hint}") from error
    if (blessing["model_name"], blessing["version"]) != (version.model_name, version.version):
        raise InputError(
            f"The blessing of {version.label} judges {blessing['model_name']}/{blessing['version']}. {hint}"
        )
    return blessing


def _text(blessing: Mapping[str, Any]) -> str:
    return json.dumps(blessing, indent=2, sort_keys=True, allow_nan=False)
