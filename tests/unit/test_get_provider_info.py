from __future__ import annotations

import ast
import importlib
import inspect
import json
import os
import pkgutil
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import airflow
import jsonschema
import pytest
from airflow.providers_manager import ProvidersManager
from airflow.sdk import BaseHook, BaseOperator
from airflow.triggers.base import BaseTrigger

import airflow_mlops_provider
from airflow_mlops_provider import get_provider_info as module
from airflow_mlops_provider.get_provider_info import get_provider_info
from tests.airflow_versions import FORMS_IMPORT_HOOKS, TaskProviders

PACKAGE = Path(airflow_mlops_provider.__file__).parent
# What only the monorepo of Airflow's own providers knows.
OF_THE_MONOREPO = {"state": "ready", "source-date-epoch": 0}


def schema(name: str) -> dict[str, Any]:
    return json.loads((Path(airflow.__file__).parent / name).read_text())


def modules_of(kind: str) -> list[str]:
    return [f"airflow_mlops_provider.{kind}.{found.name}" for found in pkgutil.iter_modules([str(PACKAGE / kind)])]


def defines(name: str, base: type) -> bool:
    loaded = importlib.import_module(name)
    return any(
        issubclass(found, base) and found.__module__ == name and not inspect.isabstract(found)
        for _, found in inspect.getmembers(loaded, inspect.isclass)
    )


def run_python(code: str, **env: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **env}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_metadata_satisfies_the_schema_airflow_loads_it_with() -> None:
    jsonschema.validate(get_provider_info(), schema("provider_info.schema.json"))


def test_metadata_satisfies_the_stricter_schema_of_provider_files() -> None:
    jsonschema.validate({**get_provider_info(), **OF_THE_MONOREPO}, schema("provider.yaml.schema.json"))


def test_metadata_imports_nothing_but_the_version() -> None:
    tree = ast.parse(inspect.getsource(module))
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Import)]
    assert imported == {"typing", "airflow_mlops_provider"}


def class_paths() -> list[str]:
    info = get_provider_info()
    return [
        *info["extra-links"],
        *(entry["hook-class-name"] for entry in info["connection-types"]),
        *(entry["class-name"] for entry in info["task-decorators"]),
        *(entry["handler"] for entry in info["asset-uris"]),
        *(entry["plugin-class"] for entry in info["plugins"]),
    ]


@pytest.mark.parametrize("path", class_paths())
def test_every_named_object_exists(path: str) -> None:
    name, _, attribute = path.rpartition(".")
    assert callable(getattr(importlib.import_module(name), attribute))


@pytest.mark.parametrize(
    ("kind", "base"),
    [("operators", BaseOperator), ("sensors", BaseOperator), ("triggers", BaseTrigger), ("hooks", BaseHook)],
)
def test_listed_modules_are_the_ones_there_are(kind: str, base: type) -> None:
    listed = [name for entry in get_provider_info().get(kind, []) for name in entry["python-modules"]]
    assert sorted(listed) == sorted(name for name in modules_of(kind) if defines(name, base))


def test_plugin_is_declared_to_providers_and_as_entry_point_alike() -> None:
    # Airflow reads the former only when providers are discovered eagerly, which is not its default.
    (entry,) = [entry for entry in entry_points(group="airflow.plugins") if entry.name == "mlops"]
    (declared,) = get_provider_info()["plugins"]
    assert entry.value.replace(":", ".") == declared["plugin-class"]
    assert entry.load().name == declared["name"]


def test_airflow_registers_scheme_decorator_and_links() -> None:
    of_tasks = TaskProviders()
    assert "mlflow" in of_tasks.asset_uri_handlers
    assert "train_model" in of_tasks.taskflow_decorators
    assert set(get_provider_info()["extra-links"]) <= set(ProvidersManager().extra_links_class_names)


def test_command_line_shows_the_provider(airflow_home: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "airflow", "providers", "get", "airflow-mlops-provider", "--output", "json"],
        capture_output=True,
        text=True,
        check=True,
    )
    (row,) = json.loads(done.stdout[done.stdout.index("[") :])
    assert row["Provider"] == "airflow-mlops-provider"
    assert row["Version"] == airflow_mlops_provider.__version__


def test_connection_form_is_drawn_from_the_metadata(airflow_home: Path) -> None:
    code = """
import json, sys
from airflow.api_fastapi.core_api.services.ui.connections import HookMetaService
(form,) = [form for form in HookMetaService.hook_meta_data() if form.connection_type == "mlflow"]
print("airflow_mlops_provider.hooks.mlflow" in sys.modules, "FORM" + form.model_dump_json())
"""
    hook_imported, _, drawn = run_python(code).rpartition("FORM")
    assert hook_imported.split()[-1] == str(FORMS_IMPORT_HOOKS)
    form = json.loads(drawn)
    assert form["hook_name"] == "MLflow"
    assert form["standard_fields"]["host"]["title"] == "Tracking server"
    assert form["standard_fields"]["url_schema"]["placeholder"] == "https"
    fields = form["extra_fields"]
    assert list(fields) == ["token", "verify_tls", "ca_bundle", "ui_url"]
    assert fields["token"]["schema"]["format"] == "password"
    assert fields["verify_tls"]["value"] is True
    assert "boolean" in fields["verify_tls"]["schema"]["type"]
