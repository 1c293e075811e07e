"""The README says what is so: its commands exist, its example runs, its tables list what there is."""

from __future__ import annotations

import re
from inspect import Parameter, signature
from pathlib import Path

import pytest

from airflow_mlops_provider.core import catalog
from airflow_mlops_provider.core.drift_policy import DriftPolicy
from airflow_mlops_provider.core.metrics import METRICS
from airflow_mlops_provider.core.retrain_policy import RetrainPolicy
from airflow_mlops_provider.core.specs import SqlQuery  # noqa: F401 - the README's query is made of it
from airflow_mlops_provider.get_provider_info import get_provider_info

REPOSITORY = Path(__file__).resolve().parents[2]
README = (REPOSITORY / "README.md").read_text()


def rows_of(heading: str) -> list[list[str]]:
    section = README.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows[2:]]


def test_every_make_target_it_names_exists() -> None:
    makefile = (REPOSITORY / "Makefile").read_text()
    named = set(re.findall(r"make ([a-z-]+)", README))
    assert {"demo", "test", "check", "airflow", "bench"} <= named
    for target in named:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_the_airflows_it_names_are_those_with_a_set_of_pins() -> None:
    newest = re.search(r"^apache-airflow==(.*)$", (REPOSITORY / "constraints.txt").read_text(), re.MULTILINE)
    assert newest
    older = {path.stem.removeprefix("constraints-airflow-") for path in REPOSITORY.glob("constraints-airflow-*.txt")}
    assert set(re.findall(r"\b3\.\d+\.\d+\b", README)) == {newest[1], *older}


def test_it_is_short_and_its_links_lead_to_files() -> None:
    assert len(README.splitlines()) <= 240
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", README):
        assert (REPOSITORY / target).exists(), target


def test_its_table_of_gates_is_the_catalog() -> None:
    rows = {row[0].strip("`"): row for row in rows_of("Gates")}
    assert set(rows) == set(catalog.names("gates"))
    for key, row in rows.items():
        gate = catalog.load("gates", key)
        assert row[1] == gate.kind
        for name, parameter in signature(gate).parameters.items():
            assert name in row[3], (key, name)
            if parameter.default not in (Parameter.empty, None):
                shown = re.search(rf"{name}=([\w.]+)", row[3])
                assert shown, (key, name)
                assert float(eval(shown[1])) == float(parameter.default), (key, name)


def test_its_table_of_drift_methods_is_the_catalog() -> None:
    rows = {row[0].strip("`"): row for row in rows_of("Drift")}
    assert set(rows) == set(catalog.names("drift"))
    words = {"numeric": "numbers", "categorical": "categories"}
    for key, row in rows.items():
        method = catalog.load("drift", key)
        assert row[1] == ", ".join(words[kind] for kind in method.kinds), key
        assert float(row[2]) == method.threshold, key
        parameters = {name: one.default for name, one in signature(method).parameters.items()}
        assert dict(re.findall(r"(\w+)=(\w+)", row[3])) == {name: str(value) for name, value in parameters.items()}
    policy = DriftPolicy()
    assert f"`{policy.numeric}` for numbers, `{policy.categorical}` for" in re.sub(r"\s+", " ", README)


def test_its_table_of_operators_lists_every_operator() -> None:
    rows = rows_of("Operators")
    listed = {row[1].strip("`") for row in rows}
    info = get_provider_info()
    there = {
        *(module for kind in ("operators", "sensors") for entry in info[kind] for module in entry["python-modules"]),
        *(entry["class-name"].rpartition(".")[0] for entry in info["task-decorators"]),
    }
    there = {module.removeprefix("airflow_mlops_provider.") for module in there}
    assert listed == there


@pytest.mark.parametrize("metric", sorted(METRICS))
def test_it_names_every_metric(metric: str) -> None:
    assert f"`{metric}`" in README


def test_its_example_runs_from_data_to_champion(run_dag, telco: Path, monkeypatch) -> None:
    code = README.split("```python\n")[1].split("```")[0]
    assert len(code.strip().splitlines()) <= 11
    monkeypatch.chdir(REPOSITORY)
    names: dict[str, object] = {}
    exec(code.replace('DAG(dag_id="churn"):', 'DAG(dag_id="churn") as dag:'), names)
    outcome = run_dag(names["dag"])
    assert outcome.state == "success"
    assert outcome.xcoms["promote"]["changed"] is True
    assert outcome.xcoms["promote"]["verdict"] == "rubber_stamped"


def test_its_query_can_be_written_so() -> None:
    (query,) = re.findall(r"`(SqlQuery\(.*\))`", README)
    assert eval(query).parameters == {"day": "{{ ds }}"}


def test_its_table_of_retraining_is_the_policy_with_its_defaults() -> None:
    shown = {row[0].strip("`"): row[1].strip("`") for row in rows_of("Retraining")}
    policy = RetrainPolicy()
    names = list(policy.to_dict())
    assert list(shown) == names
    for name in names:
        value = getattr(policy, name)
        assert shown[name] == (f"{value.days} days" if hasattr(value, "days") else str(value)), name
