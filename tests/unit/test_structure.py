"""Where things stand: tests mirror the package."""

from __future__ import annotations

from pathlib import Path

import pytest

import airflow_mlops_provider

PACKAGE = Path(airflow_mlops_provider.__file__).parent
TESTS = Path(__file__).resolve().parents[1]
# Tests of what is no module of the package, and claims about several modules together that are simulated.
OF_NO_MODULE = {"test_readme.py", "test_docs.py", "test_dist.py", "test_scripted_year.py", "test_structure.py"}
SIMULATIONS = ("_calibration.py", "_coverage.py")


def test_a_unit_test_stands_where_its_module_does() -> None:
    unit = TESTS / "unit"
    tests = {path.relative_to(unit) for path in unit.rglob("test_*.py")}
    strays = {
        path.as_posix() for path in tests if not (PACKAGE / path.parent / path.name.removeprefix("test_")).exists()
    }
    assert {name for name in strays if not name.endswith(SIMULATIONS)} == OF_NO_MODULE


@pytest.mark.parametrize("folder", ["core/gates", "core/drift", "links"])
def test_what_others_add_to_has_a_test_for_each_module(folder: str) -> None:
    modules = {path.stem for path in (PACKAGE / folder).glob("*.py")} - {"__init__"}
    tests = {path.stem.removeprefix("test_") for path in (TESTS / "unit" / folder).glob("test_*.py")}
    assert modules <= tests
