"""Things are found by their files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import airflow_mlops_provider.core.gates as gates_folder
from airflow_mlops_provider.core.catalog import load, names, unknown
from airflow_mlops_provider.core.errors import InputError


def test_gates_are_the_files_of_their_folder():
    files = {path.stem for path in Path(gates_folder.__file__).parent.glob("*.py")} - {"__init__"}
    assert set(names("gates")) == files


def test_listing_imports_none_of_what_it_lists():
    code = (
        "import sys; from airflow_mlops_provider.core.catalog import names; names('gates');"
        "print([m for m in sys.modules if m.startswith('airflow_mlops_provider.core.gates.')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_unknown_name_is_refused_with_the_known_ones_and_the_closest():
    with pytest.raises(InputError, match=r"Unknown gate 'min_metrics'\. Known: .*min_rows.*did you mean 'min_metric'"):
        load("gates", "min_metrics")


def test_a_name_like_nothing_known_gets_no_guess():
    assert "did you mean" not in str(unknown("gate", "zzzz", names("gates")))


def test_an_unknown_kind_is_refused():
    with pytest.raises(InputError, match="Unknown kind 'gatez'"):
        names("gatez")


@pytest.mark.parametrize("name", ["../errors", "__init__", "os", "", "min_rows.GATE"])
def test_only_listed_names_are_ever_imported(name):
    with pytest.raises(InputError, match="Unknown gate"):
        load("gates", name)
