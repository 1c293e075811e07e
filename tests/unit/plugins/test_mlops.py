from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROBE = """
import sys
from tests.airflow_versions import fastapi_apps
apps = [app for app in fastapi_apps() if app["url_prefix"] == "/mlops"]
assert len(apps) == 1, apps
loaded = {name.partition(".")[0] for name in sys.modules if name.startswith(("mlflow", "pandas", "sklearn"))}
assert not loaded, loaded
assert "airflow_mlops_provider.plugins.models_page" not in sys.modules
from airflow_mlops_provider.plugins.mlops import MLOpsPlugin
print(MLOpsPlugin.external_views[0]["href"])
"""


def probe(**env: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", PROBE], env={**os.environ, **env}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    ("base_url", "href"),
    [
        ("http://localhost:8080", "/mlops/models"),
        ("https://example.com/team/airflow/", "/team/airflow/mlops/models"),
    ],
)
def test_loading_the_plugin_is_light_and_the_page_is_below_airflows_path(base_url: str, href: str) -> None:
    assert probe(AIRFLOW__API__BASE_URL=base_url) == href
