"""``make demo``: a churn model from a CSV of real customers to a promoted champion, then a second try that is refused.

The DAG ``churn_training`` runs twice through Airflow's own task runner, against a fresh Airflow and MLflow under
``.demo``. What the tasks say is shown as it happens; everything else is in ``.demo/airflow.log``.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Any

REPOSITORY = Path(__file__).resolve().parent.parent
HOME = REPOSITORY / ".demo"
LOG = HOME / "airflow.log"
AIRFLOW = Path(sys.executable).with_name("airflow")
# 2026-01-01T00:00:00.000000Z [info     ] What a task of ours says [airflow.task.operators.…] loc=…
OURS = re.compile(r"^\S+ \[(?:info|warning) *\] (?P<said>.*?) +\[airflow(?:\.task\.operators\.airflow)?_mlops_provider")
STARTED = re.compile(r"\[DAG TEST\] starting task_id=(?P<task>\w+)")
SKIPPED = re.compile(r"Skipping task\. .*reason=(?P<why>.*)")


def main() -> int:
    """Run the demo and print what came of it."""
    started = time.monotonic()
    shutil.rmtree(HOME, ignore_errors=True)
    HOME.mkdir()
    os.environ.update(
        AIRFLOW_HOME=str(HOME),
        AIRFLOW__CORE__DAGS_FOLDER=str(REPOSITORY / "dags"),
        AIRFLOW__CORE__LOAD_EXAMPLES="False",
        COLUMNS="1000",  # the log must not be wrapped where it is read line by line
    )
    os.environ.pop("AIRFLOW_CONN_MLFLOW_DEFAULT", None)
    with LOG.open("w") as log:
        step(started, "a fresh Airflow database in .demo")
        run(["db", "migrate"], log)
        step(started, "first run: there is no champion yet")
        run(["dags", "test", "churn_training"], log)
        step(started, "second run, same customers: the challenger must be better than the champion")
        run(["dags", "test", "churn_training"], log)
    step(started, "what MLflow says")
    return report(time.monotonic() - started)


def step(started: float, text: str) -> None:
    """Print a line of progress."""
    print(f"[{time.monotonic() - started:5.1f} s] {text}", flush=True)


def run(arguments: list[str], log: IO[str]) -> None:
    """Run Airflow, keep its log, and show what our tasks say."""
    with subprocess.Popen(
        [str(AIRFLOW), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        for line in process.stdout or ():
            log.write(line)
            show(line)
    if process.returncode:
        sys.exit(f"airflow {' '.join(arguments)} failed; see {LOG}")


def show(line: str) -> None:
    """Print a line of the log when it is ours."""
    if found := STARTED.search(line):
        print(f"          {found['task']}", flush=True)
    elif found := SKIPPED.search(line):
        print(f"              skipped {found['why']}", flush=True)
    elif found := OURS.match(line):
        print(f"              {found['said'].rstrip()}", flush=True)


def report(seconds: float) -> int:
    """Read the outcome back from MLflow and print it; 0 when it is what the demo promises."""
    from airflow_mlops_provider.hooks.mlflow import embedded_server
    from airflow_mlops_provider.registry.evidence import read_evidence
    from airflow_mlops_provider.registry.session import open_registry
    from airflow_mlops_provider.registry.versions import CHALLENGER, CHAMPION, by_alias

    with open_registry(embedded_server()) as registry:
        champion = by_alias(registry, "churn", CHAMPION)
        challenger = by_alias(registry, "churn", CHALLENGER)
        if champion is None:
            sys.exit(f"No version was promoted; see {LOG}")
        evidence, _ = read_evidence(registry, run_id=champion.run_id, version=champion.version, model_name="churn")
    found = evidence.metrics["roc_auc"]
    baseline = evidence.baseline_metrics["roc_auc"]
    print(f"\n  champion     churn version {champion.version}, {evidence.candidate}")
    print(f"  test ROC AUC {interval(found)} on {evidence.holdout_rows} customers it never saw")
    print(f"  baseline     {interval(baseline)}")
    if challenger is not None:
        print(f"  challenger   churn version {challenger.version}, not promoted")
    print(f"  store        {registry.server.uri}")
    print(f"  reports      {HOME / 'mlflow' / 'artifacts'}")
    print(f"  took         {seconds:.0f} s; 'make airflow' starts the Airflow and MLflow UIs")
    return 0 if champion.version == "1" and found["value"] >= 0.83 else 1


def interval(one: Any) -> str:
    """Write a metric with its interval."""
    return f"{one['value']:.3f} [{one['lower']:.3f}, {one['upper']:.3f}]"


if __name__ == "__main__":
    sys.exit(main())
