"""Claims: marks on a registered model that its champion is being moved, so that nobody takes it for a person's work.

They decide nothing and lock nothing. A claim names the entry it was left for, and explains nothing before that entry is
in the ledger. One that a dead task left lies there until somebody has put right what the task left undone, and is then
taken away when it is an hour old; one whose entry never came, after a week. Clocks differ between workers, so who
claims does not rely on it: it knows its own claim, and leaves it again when somebody with a fast clock took it away.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_mlops_provider.core.ledger import History
from airflow_mlops_provider.registry.ledger_store import patiently

if TYPE_CHECKING:
    from airflow_mlops_provider.registry.session import Registry

log = logging.getLogger(__name__)

PREFIX = "mlops.ledger.claim."
# Airflow gives up a task that was silent for 5 minutes, so a claim this old has no living owner.
CLAIM_SECONDS = 3600
# Without its entry it does no harm, and its owner may be waiting for a retry.
CLAIM_WITHOUT_ENTRY_SECONDS = 7 * 24 * 3600


@dataclass(slots=True, kw_only=True)
class Claim:
    """A claim of this process, which stays when the process dies or its outcome is unknown.

    Its name is new each time: a frozen task must not lose its claim to its own retry.

    Parameters
    ----------
    registry : Registry
        An open session.
    model_name : str
        Whose champion.
    op : str, default ""
        Key of the entry that is about to be made; "" when the alias is only made to follow.
    """

    registry: Registry
    model_name: str
    op: str = ""
    key: str = field(default_factory=lambda: PREFIX + secrets.token_hex(8))
    lies: bool = False

    def leave(self) -> None:
        """Mark the model, before its ledger and its alias come to differ."""
        if not self.lies:
            text = f"{int(time.time())} {self.op}".rstrip()
            patiently(
                self.registry,
                lambda: self.registry.client.set_registered_model_tag(self.model_name, self.key, text),
            )
            self.lies = True

    def drop(self) -> None:
        """Take the mark away, after both were seen to agree or when nothing was entered."""
        if self.lies:
            _remove(self.registry, self.model_name, self.key)
            self.lies = False


def explains(claims: Iterable[str], history: History) -> bool:
    """Tell whether a claim of these may be why the alias is not yet what the ledger says."""
    ops = [text.partition(" ")[2] for text in claims]
    return any(not op or history.find(op) is not None for op in ops)


def sweep(registry: Registry, model_name: str, claims: Mapping[str, str], history: History) -> None:
    """Take away the claims of tasks that are dead for certain, now that alias and ledger agree."""
    for key, text in claims.items():
        since, _, op = text.partition(" ")
        waits = CLAIM_WITHOUT_ENTRY_SECONDS if op and history.find(op) is None else CLAIM_SECONDS
        if since.isdigit() and time.time() - int(since) > waits:
            _remove(registry, model_name, key)


def _remove(registry: Registry, model_name: str, key: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        patiently(registry, lambda: registry.client.delete_registered_model_tag(model_name, key))
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            # It is swept an hour later; what was entered stands.
            log.warning("Claim %s of model %r could not be taken away (%s).", key, model_name, error.error_code)
