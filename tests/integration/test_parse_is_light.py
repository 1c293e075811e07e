"""What a DAG file pays for naming our operators; every parse is a fresh process, so this looks in one."""

from __future__ import annotations

import json
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import airflow_mlops_provider

PACKAGE = Path(airflow_mlops_provider.__file__).parent
KINDS = ("operators", "sensors", "decorators", "triggers")
HEAVY = (
    *("mlflow", "sklearn", "great_expectations", "scipy", "pandas", "numpy", "pyarrow", "boto3", "matplotlib"),
    *("skops", "joblib"),
)

# The least that constructs each class; a new one needs its line.
ARGUMENTS = {
    "ValidateDataOperator": "data='a.csv', suite=[]",
    "TrainModelOperator": "model_name='churn', data='a.csv', target='y', estimator='sklearn.svm.SVC'",
    "TrainModelDecoratedOperator": "python_callable=lambda X, y: X, model_name='churn', data='a.csv', target='y'",
    "EvaluateModelOperator": "model_name='churn', data='a.csv'",
    "PromoteModelOperator": "model_name='churn'",
    "RollbackModelOperator": "model_name='churn', reason='worse'",
    "BacktestRetrainPolicyOperator": "initial_data='a.csv', windows=[], target='y', estimator='sklearn.svm.SVC'",
    "TriggerRetrainOperator": "model_name='churn', trigger_dag_id='training', policy={'on_drift': 'always'}",
    "ModelHistoryOperator": "model_name='churn'",
    "SmokeTestModelOperator": "model_name='churn'",
    "CompareShadowOperator": "model_name='churn', scored={}",
    "CheckFeatureSkewOperator": "model_name='churn', data='a.csv'",
    "ValidatePredictionsOperator": "model_name='churn', data='a.csv'",
    "BatchScoreOperator": "model_name='churn', data='a.csv', output_path='b.parquet', shadow=['challenger']",
    "DetectDriftOperator": "model_name='churn', data='a.csv', policy={'numeric': 'psi', 'categorical': 'chi2'}",
    "CheckPerformanceOperator": "model_name='churn', predictions='a.parquet', labels='b.csv', key_columns=['id']",
    "EstimatePerformanceOperator": "model_name='churn', predictions='a.parquet', policy={'metric': 'f1'}",
    "ProfileDataOperator": "data='a.csv', model_name='churn'",
    "MergeProfilesOperator": "profiles=[]",
    "SuggestExpectationsOperator": "data='a.csv'",
    "NewDataSensor": "data='a.csv', model_name='churn', min_rows=100, deferrable=True",
    "ModelVersionSensor": "model_name='churn', alias='champion', deferrable=True",
    "ModelPerformanceSensor": "model_name='churn', predictions='a', labels='b', key_columns=['id'], deferrable=True",
    "DataDriftSensor": "model_name='churn', data='a.csv', deferrable=True",
}

LIST = """
import importlib, inspect, json, sys
import airflow.sdk
modules, heavy = json.loads(sys.argv[1])
before = {name for name in heavy if name in sys.modules}
classes = {}
for name in modules:
    module = importlib.import_module(name)
    for found in vars(module).values():
        if (
            inspect.isclass(found) and issubclass(found, airflow.sdk.BaseOperator)
            and found.__module__ == name and not found.__name__.startswith("_") and not inspect.isabstract(found)
        ):
            classes[found.__name__] = found
arguments = json.loads(sys.argv[2])
with airflow.sdk.DAG("parsed", schedule=None):
    for name, found in classes.items():
        if name in arguments:
            eval(f"found(task_id={name!r}, {arguments[name]})")
print("RESULT" + json.dumps([sorted(classes), [name for name in heavy if name in sys.modules and name not in before]]))
"""


def modules() -> list[str]:
    return [
        f"airflow_mlops_provider.{kind}.{found.name}"
        for kind in KINDS
        for found in pkgutil.iter_modules([str(PACKAGE / kind)])
    ]


@pytest.fixture(scope="module")
def parsed() -> tuple[list[str], list[str]]:
    """Return the operator classes there are, and the heavy libraries loaded after constructing each."""
    done = subprocess.run(
        [sys.executable, "-c", LIST, json.dumps([modules(), HEAVY]), json.dumps(ARGUMENTS)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    classes, loaded = json.loads(done.stdout.rpartition("RESULT")[2])
    return classes, loaded


def test_constructing_every_operator_loads_no_heavy_library(parsed: tuple[list[str], list[str]]) -> None:
    assert parsed[1] == []


def test_every_operator_is_among_those_constructed(parsed: tuple[list[str], list[str]]) -> None:
    assert parsed[0] == sorted(ARGUMENTS)
