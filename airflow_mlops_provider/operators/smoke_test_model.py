"""The smoke test operator: can a fresh process load this version, does it say what it said, and how fast?"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.hooks.mlflow import MlflowHook
from airflow_mlops_provider.operators.base import MLOpsOperator
from airflow_mlops_provider.operators.scoring_arguments import scoring_experiment
from airflow_mlops_provider.operators.smoke_environment import Environment, check_environment, interpreter
from airflow_mlops_provider.operators.tracking import context_tags

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_mlops_provider.operators.smoke_environment import Interpreter
    from airflow_mlops_provider.registry.evidence import TrainingEvidence
    from airflow_mlops_provider.registry.session import Registry
    from airflow_mlops_provider.registry.versions import Version

REPORT = "smoke/report.html"
_ENVIRONMENTS = {"recorded": "clean, of the recorded requirements", "current": "of the worker"}
# Parts of the message of a process that died; the last lines name the cause.
_LAST_CHARACTERS = 500


class SmokeTestModelOperator(MLOpsOperator):
    """Load a version in a process of its own, as a consumer would, and score the example that it carries.

    The example was made from the training profile when the model was trained; its stored output tells whether the files
    are still that model and whether today's libraries compute as those of training did. The process sees a clean
    environment, which pip makes of the requirements that training recorded, or that of the worker; packages that differ
    from the recorded ones are reported.

    Parameters
    ----------
    model_name : str
        Registered model. Templated.
    alias : str, default "challenger"
        Which version. Templated.
    version : str or int, optional
        Its number, instead of `alias`. Templated.
    max_row_milliseconds, max_batch_milliseconds : float, optional
        Most that one row, and 1,000 rows, may take (medians).
    max_memory_megabytes : float, optional
        Most that loading and scoring may add to the process.
    environment : {"recorded", "current"}, default "recorded"
        A clean environment of the recorded requirements, made for this test (about half a minute). Only requirements
        whose hash training wrote down are installed: a changed record is an error. Where there is no hash, of a version
        trained before they were kept, or where pip cannot have the packages, the worker's environment serves and
        ``environment_note`` says so. Or the worker's from the start.
    require_example : bool, default True
        Whether a version without an example is a bad verdict.
    require_environment : bool, default False
        Whether a package unlike the recorded one, or a recorded environment that cannot be made, is a bad verdict.
    timeout_seconds : float, default 300
        After which the process is ended, a bad verdict; and after which installing is given up.
    trusted_types : sequence of str
        Types in the model, beyond scikit-learn's own, that may be loaded.
    **kwargs
        See :class:`~airflow_mlops_provider.operators.base.MLOpsOperator`. The default experiment is
        ``<model_name> scoring``.

    Notes
    -----
    XCom: ``passed, reasons, model_name, version, environment, environment_note, packages_that_differ, load_seconds,
    difference, row_milliseconds, batch_milliseconds, batch_rows, memory_megabytes, run_id, experiment_id, run_url,
    report_url, model_version_url``.

    Examples
    --------
    >>> SmokeTestModelOperator(task_id="smoke", model_name="churn", max_row_milliseconds=50)
    <Task(SmokeTestModelOperator): smoke>
    """

    template_fields: Sequence[str] = (*MLOpsOperator.template_fields, "model_name", "alias", "version")

    def __init__(
        self,
        *,
        model_name: str,
        alias: str = "challenger",
        version: Any = None,
        max_row_milliseconds: float | None = None,
        max_batch_milliseconds: float | None = None,
        max_memory_megabytes: float | None = None,
        environment: Environment = "recorded",
        require_example: bool = True,
        require_environment: bool = False,
        timeout_seconds: float = 300.0,
        trusted_types: Sequence[str] = (),
        experiment_name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(experiment_name=scoring_experiment(experiment_name, model_name), **kwargs)
        self.model_name = model_name
        self.alias = alias
        self.version = version
        self.limits = {
            "row_milliseconds": max_row_milliseconds,
            "batch_milliseconds": max_batch_milliseconds,
            "memory_megabytes": max_memory_megabytes,
        }
        for name, limit in (*self.limits.items(), ("timeout_seconds", timeout_seconds)):
            if limit is not None and not 0 < limit < float("inf"):
                raise InputError(f"The limit of {name} of SmokeTestModelOperator must be above 0; got {limit!r}.")
        check_environment(environment)
        self.environment = environment
        self.require_example = require_example
        self.require_environment = require_environment
        self.timeout_seconds = timeout_seconds
        self.trusted_types = tuple(trusted_types)

    def perform(self, context: Context) -> dict[str, Any]:
        """Start the process, judge its answer, record."""
        from airflow_mlops_provider.operators.scoring_model import read_version_evidence
        from airflow_mlops_provider.registry.artifacts import recorded_files
        from airflow_mlops_provider.registry.champion import resolve

        hook = MlflowHook(self.mlflow_conn_id)
        with hook.open() as registry:
            version = resolve(registry, self.model_name, self.version, alias=self.alias)
            evidence = read_version_evidence(registry, version)
            vouched_for = recorded_files(registry, str(version.run_id)) is not None
        requirements = evidence.requirements
        # Outside of a session, whose credentials pip has no use for.
        to_install = requirements if vouched_for else None
        with interpreter(self.environment, requirements=to_install, timeout_seconds=self.timeout_seconds) as used:
            answer = self._try(hook, version, evidence, used)
        differing = {} if used.environment == "recorded" else packages_that_differ(requirements)
        reasons = [answer["error"]] if "error" in answer else self._objections(answer["found"])
        said = [] if used.note is None else [used.note]
        said += [f"{name} is {now}, the model was trained with {then}" for name, (then, now) in differing.items()]
        for one in said:
            self.log.warning("%s", one)
        if self.require_environment:
            reasons += said
        result = {
            "passed": not reasons,
            "reasons": reasons,
            "model_name": version.model_name,
            "version": version.version,
            "environment": used.environment,
            "environment_note": used.note,
            "packages_that_differ": {name: list(pair) for name, pair in differing.items()},
            **{key: _rounded(value) for key, value in answer.get("found", {}).items()},
        }
        with hook.open() as registry:
            return {**result, **self._record(context, registry, version, result)}

    def _try(self, hook: MlflowHook, version: Version, evidence: TrainingEvidence, used: Interpreter) -> dict[str, Any]:
        """Let the process use the version's files, fetched and compared with their hashes here."""
        from airflow_mlops_provider.registry.example import read_example
        from airflow_mlops_provider.registry.model_files import fetched, verified_manifest

        try:
            with hook.open() as registry, fetched(registry, version) as directory:
                example = read_example(registry, version)
                verified_manifest(registry, version, directory)
                order = {
                    "directory": str(directory),
                    "where": version.title,
                    "trusted_types": list(self.trusted_types),
                    "task": evidence.task,
                    "classes": list(evidence.classes),
                    "kinds": dict(evidence.kinds),
                    "example": example,
                }
                return ask(order, used=used, timeout_seconds=self.timeout_seconds)
        except InputError as error:
            return {"error": str(error)}

    def _objections(self, found: Mapping[str, Any]) -> list[str]:
        reasons = []
        if found["difference"] is None and self.require_example:
            reasons.append("it carries no example, so nothing shows that its files are the model that was trained")
        for name, limit in self.limits.items():
            value = found[name]
            if limit is not None and value is None:
                reasons.append(f"{name} could not be measured without an example")
            elif limit is not None and value > limit:
                reasons.append(f"{name} is {value:.3g}, {limit:g} allowed")
        return reasons

    def _record(
        self, context: Context, registry: Registry, version: Version, result: Mapping[str, Any]
    ) -> dict[str, Any]:
        from airflow_mlops_provider.registry.runs import logged_run
        from airflow_mlops_provider.reports.checks import checks_report

        names = ("load_seconds", "difference", "row_milliseconds", "batch_milliseconds", "memory_megabytes")
        measured = {name: result[name] for name in names if result.get(name) is not None}
        with logged_run(
            registry,
            experiment_name=self.experiment_name,
            run_name=f"smoke test of {version.model_name} {version.version}",
            tags={**context_tags(context, type(self).__name__), "mlops.passed": str(result["passed"]).lower()},
        ) as run:
            run.log_metrics(measured)
            run.log_dict(result, "smoke/report.json")
            html = checks_report(
                kind="Smoke test",
                title=version.label[0].upper() + version.label[1:],
                word="Passed" if result["passed"] else "Rejected",
                good=result["passed"],
                reasons=result["reasons"],
                figures={name.replace("_", " "): value for name, value in measured.items()},
                sections={},
                about={
                    "Environment": _ENVIRONMENTS[result["environment"]],
                    "Packages unlike those of training": ", ".join(result["packages_that_differ"]) or "none",
                },
            )
            run.log_text(html, REPORT)
            return {
                "run_id": run.run_id,
                "experiment_id": run.experiment_id,
                "run_url": run.url(),
                "report_url": run.url(REPORT),
                "model_version_url": registry.version_url(model_name=version.model_name, version=version.version),
            }


def ask(order: Mapping[str, Any], *, used: Interpreter, timeout_seconds: float) -> dict[str, Any]:
    """Let a fresh process carry out an order.

    Parameters
    ----------
    order : mapping
        See :func:`airflow_mlops_provider.operators.smoke_process.run`.
    used : Interpreter
        What runs it.
    timeout_seconds : float
        After which it is ended.

    Returns
    -------
    dict
        ``found`` or ``error``.
    """
    import os
    import subprocess

    from airflow_mlops_provider.operators import smoke_process
    from airflow_mlops_provider.registry.trial import KEPT_VARIABLES

    kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    try:
        done = subprocess.run(  # noqa: S603  # our own module
            [used.python, "-m", smoke_process.__name__],
            input=json.dumps(order),
            env={**kept, "PYTHONPATH": used.search_path},
            capture_output=True,
            text=True,
            timeout=timeout_seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"error": f"the process did not end within {timeout_seconds:g} s"}
    _, marker, answer = done.stdout.rpartition(smoke_process.ANSWER)
    if done.returncode == 0 and marker:
        found: dict[str, Any] = json.loads(answer)
        return found
    how = f"signal {-done.returncode}" if done.returncode < 0 else f"exit code {done.returncode}"
    return {"error": f"the process died ({how}): {done.stderr.strip()[-_LAST_CHARACTERS:]}"}


def packages_that_differ(requirements: Sequence[str]) -> dict[str, tuple[str, str | None]]:
    """Return the packages whose installed version is not the recorded one; None where a package is missing.

    Examples
    --------
    >>> packages_that_differ(["no-such-package==1.0"])
    {'no-such-package': ('1.0', None)}
    """
    from importlib.metadata import PackageNotFoundError, version

    differing: dict[str, tuple[str, str | None]] = {}
    for one in requirements:
        name, _, then = one.partition("==")
        try:
            now: str | None = version(name)
        except PackageNotFoundError:
            now = None
        if now != then:
            differing[name] = (then, now)
    return differing


def _rounded(value: Any) -> Any:
    return float(f"{value:.6g}") if isinstance(value, float) else value
