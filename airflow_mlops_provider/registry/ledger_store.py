"""Where the entries of a model's ledger are kept: parameters of MLflow runs, which MLflow lets nobody write twice.

It finds the ledger of a model, reads its entries and adds one when the place is still free. What entries say and who is
champion by them is not decided here.

The first run of a ledger is named by a tag of the experiment ``__mlops_ledger__.<model>``: MLflow makes an experiment
and its tags in one transaction and only once per name, so all workers agree on the run. Entry n is the parameter
``e%08d`` of it. After :data:`ENTRIES_PER_RUN` entries one of kind ``next`` names the run that goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.ledger import History, replay
from airflow_mlops_provider.core.ledger_entry import Draft, Entry
from airflow_mlops_provider.core.op_key import derived_key

if TYPE_CHECKING:
    from mlflow.entities import Run

    from airflow_mlops_provider.registry.session import Registry

# Holds the runs of all ledgers; the experiments per model only point at one of them.
EXPERIMENT = "__mlops_ledger__"
RUN_TAG = "mlops.ledger_run"
MODEL_TAG = "mlops.ledger_of"
MARK_TAG = "mlops.mark."
# Reading a run of 1,400 parameters takes MLflow over half a second.
ENTRIES_PER_RUN = 300
TRIES = 6

_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """A ledger as it was read.

    Parameters
    ----------
    model_name : str
        Whose.
    history : History
        All entries.
    run_ids : tuple of str
        The runs that hold them, oldest first; () when there is no ledger yet.
    entries_in_last_run : int
    """

    model_name: str
    history: History
    run_ids: tuple[str, ...]
    entries_in_last_run: int


def read_book(registry: Registry, model_name: str) -> Book:
    """Read a model's ledger; one that does not exist yet has no entries and no runs.

    Raises
    ------
    InputError
        The ledger was deleted or changed.
    """
    run_id = _first_run(registry, model_name)
    run_ids: list[str] = []
    texts: list[str] = []
    count = 0
    while run_id is not None:
        if run_id in run_ids:
            raise InputError(f"The ledger of model {model_name!r} leads back to its own run {run_id}.")
        run_ids.append(run_id)
        found = _entries_of(_run(registry, model_name, run_id), first=len(texts) + 1)
        texts += found
        count = len(found)
        last = Entry.from_text(found[-1]) if found else None
        run_id = str(last.details["run_id"]) if last is not None and last.kind == "next" else None
    try:
        history = replay(texts)
    except InputError as error:
        raise InputError(f"The ledger of model {model_name!r} (MLflow runs {', '.join(run_ids)}): {error}") from error
    return Book(model_name=model_name, history=history, run_ids=tuple(run_ids), entries_in_last_run=count)


def append(registry: Registry, book: Book, draft: Draft, *, op: str) -> bool:
    """Add an entry after those of `book`.

    Parameters
    ----------
    registry : Registry
        An open session.
    book : Book
        The ledger as the decision saw it.
    draft : Draft
        What to enter.
    op : str
        Key of the effect.

    Returns
    -------
    bool
        False when somebody else entered something since: read again and decide again.

    Raises
    ------
    InputError
        The entry is too long.
    """
    if not book.run_ids:
        start_ledger(registry, book.model_name)
        return False
    if book.entries_in_last_run >= ENTRIES_PER_RUN:
        _turn_over(registry, book)
        return False
    return _write(registry, book, book.history.next_entry(draft, op=op))


def start_ledger(registry: Registry, model_name: str) -> None:
    """Make sure that a model has a ledger."""
    from mlflow.exceptions import MlflowException

    run_id = _new_run(registry, model_name)
    name = _pointer(model_name)
    try:
        registry.client.create_experiment(name, artifact_location=_nowhere(registry), tags={RUN_TAG: run_id})
    except MlflowException:
        # Somebody was faster, or the answer was lost: what MLflow has now decides.
        winner = _first_run(registry, model_name)
        if winner is None:
            raise
        if winner != run_id:
            _discard(registry, run_id)


def leave_mark(registry: Registry, model_name: str, key: str, value: str) -> None:
    """Keep a small fact beside the entries of a ledger, if there is one; the last one of a key wins."""
    experiment = patiently(registry, lambda: registry.client.get_experiment_by_name(_pointer(model_name)))
    if experiment is not None:
        number, tag = experiment.experiment_id, f"{MARK_TAG}{key}"
        patiently(registry, lambda: registry.client.set_experiment_tag(number, tag, value))


def read_mark(registry: Registry, model_name: str, key: str) -> str | None:
    """Return what :func:`leave_mark` kept, or None."""
    experiment = patiently(registry, lambda: registry.client.get_experiment_by_name(_pointer(model_name)))
    return None if experiment is None else (experiment.tags or {}).get(f"{MARK_TAG}{key}")


def patiently(registry: Registry, call: Callable[[], _Answer]) -> _Answer:
    """Call MLflow, and again when it only stumbled over another writer.

    Two first writers of one alias or tag make PostgreSQL report a unique violation, which MLflow passes on as a bad
    request; writers of one SQLite file find it locked.
    """
    from mlflow.exceptions import MlflowException

    codes = {"BAD_REQUEST"}
    if registry.server.uri.startswith("sqlite"):
        codes.add("TEMPORARILY_UNAVAILABLE")
    for tried in range(1, TRIES):
        try:
            return call()
        except MlflowException as error:
            if error.error_code not in codes:
                raise
        time.sleep(0.05 * 2**tried)
    return call()


def _write(registry: Registry, book: Book, entry: Entry) -> bool:
    from mlflow.exceptions import MlflowException

    text = entry.to_text()
    try:
        registry.client.log_param(book.run_ids[-1], _key(entry.number), text)
    except MlflowException:
        # Refused because the place is taken, or failed with an outcome that nobody knows: reading tells.
        now = read_book(registry, book.model_name).history
        if now.find(entry.op) is not None:
            return True
        if len(now.entries) < entry.number:
            raise
        return False
    return True


def _turn_over(registry: Registry, book: Book) -> None:
    run_id = _new_run(registry, book.model_name)
    history = book.history
    draft = Draft(kind="next", by={}, at=history.entries[-1].at, details={"run_id": run_id})
    op = derived_key("next", book.model_name, history.tip)
    _write(registry, book, history.next_entry(draft, op=op))
    if run_id not in read_book(registry, book.model_name).run_ids:
        _discard(registry, run_id)


def _new_run(registry: Registry, model_name: str) -> str:
    experiment_id = registry.experiment_id(EXPERIMENT)
    tags = {MODEL_TAG: model_name}
    run = patiently(
        registry, lambda: registry.client.create_run(experiment_id, tags=tags, run_name=f"ledger of {model_name}")
    )
    return str(run.info.run_id)


def _discard(registry: Registry, run_id: str) -> None:
    """Delete a run of ours that lost the race to be the ledger's; nothing depends on that it succeeds."""
    from mlflow.exceptions import MlflowException

    with suppress(MlflowException):
        registry.client.delete_run(run_id)


def _first_run(registry: Registry, model_name: str) -> str | None:
    name = _pointer(model_name)
    experiment = patiently(registry, lambda: registry.client.get_experiment_by_name(name))
    if experiment is None:
        return None
    if experiment.lifecycle_stage != "active":
        raise InputError(
            f"The ledger of model {model_name!r} was deleted: MLflow experiment {name!r} at {registry.server.uri}. "
            f"Hint: bring it back with 'mlflow experiments restore --experiment-id {experiment.experiment_id}'."
        )
    run_id = (experiment.tags or {}).get(RUN_TAG)
    if not run_id:
        raise InputError(
            f"MLflow experiment {name!r} at {registry.server.uri} lacks its tag {RUN_TAG!r}, so the ledger of model "
            f"{model_name!r} cannot be found. Hint: this package makes both at once; set the tag back."
        )
    return str(run_id)


def _run(registry: Registry, model_name: str, run_id: str) -> Run:
    from mlflow.exceptions import MlflowException

    where = f"MLflow run {run_id} at {registry.server.uri}, which holds the ledger of model {model_name!r},"
    try:
        run = patiently(registry, lambda: registry.client.get_run(run_id))
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        raise InputError(f"{where} does not exist any more. Hint: restore MLflow's database from a backup.") from error
    if run.info.lifecycle_stage != "active":
        raise InputError(f"{where} was deleted. Hint: bring it back with 'mlflow runs restore --run-id {run_id}'.")
    if run.data.tags.get(MODEL_TAG) != model_name:
        raise InputError(f"{where} says that it is of model {run.data.tags.get(MODEL_TAG)!r}.")
    return run


def _entries_of(run: Run, *, first: int) -> list[str]:
    texts = dict(run.data.params)
    found: list[str] = []
    while (key := _key(first + len(found))) in texts:
        found.append(str(texts.pop(key)))
    if texts:
        raise InputError(
            f"MLflow run {run.info.run_id} of a ledger lacks entry {first + len(found)} or holds foreign parameters: "
            f"{', '.join(sorted(texts)[:5])}."
        )
    return found


def _key(number: int) -> str:
    return f"e{number:08d}"


def _pointer(model_name: str) -> str:
    return f"{EXPERIMENT}.{model_name}"


def _nowhere(registry: Registry) -> str | None:
    """Return where an experiment that keeps no files would keep them."""
    root = registry.server.artifact_root
    return None if root is None else f"{root}/{EXPERIMENT}"
