"""What ``make dist`` refuses to call a distribution."""

from __future__ import annotations

import shutil
import tarfile
import zipfile
from pathlib import Path

import pytest

from scripts import check_dist

INFO = "airflow_mlops_provider-0.1.0.dist-info"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("dist")
    return check_dist.build(folder, folder / "dist")


def without(wheel: Path, path: Path, *gone: str, extra: dict[str, str] | None = None) -> Path:
    """Copy a wheel without some of its files, or with others."""
    path = path / wheel.name
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            if name not in gone:
                new.writestr(name, (extra or {}).pop(name, None) or old.read(name))
        for name, text in (extra or {}).items():
            new.writestr(name, text)
    return path


def test_what_is_built_is_complete_and_its_metadata_valid(built: tuple[Path, Path]) -> None:
    source, wheel = built
    assert check_dist.wheel_complaints(wheel) == []
    assert check_dist.source_complaints(source) == []
    with tarfile.open(source) as archive:
        assert not [name for name in archive.getnames() if "__pycache__" in name or ".venv" in name]


def test_a_wheel_that_lacks_a_template_the_types_or_the_licence_is_refused(
    built: tuple[Path, Path], tmp_path: Path
) -> None:
    gone = ["airflow_mlops_provider/py.typed", f"{INFO}/licenses/LICENSE"]
    with zipfile.ZipFile(built[1]) as archive:
        gone.append(next(name for name in archive.namelist() if name.endswith(".html.j2") or ".html" in name))
    found = check_dist.wheel_complaints(without(built[1], tmp_path, *gone))
    assert sorted(found) == sorted(f"{built[1].name} lacks {name}" for name in gone)


def test_a_wheel_that_holds_tests_or_data_is_refused(built: tuple[Path, Path], tmp_path: Path) -> None:
    found = check_dist.wheel_complaints(without(built[1], tmp_path, extra={"tests/test_a.py": "", "dags/b.csv": "x"}))
    assert found == [f"{built[1].name} holds dags/b.csv", f"{built[1].name} holds tests/test_a.py"]


def test_metadata_that_an_index_would_refuse_are_refused(built: tuple[Path, Path], tmp_path: Path) -> None:
    broken = "Metadata-Version: 2.4\nName: airflow mlops\nVersion: one\n\n# airflow-mlops-provider\n"
    with pytest.raises(ExceptionGroup, match="invalid"):
        check_dist.wheel_complaints(without(built[1], tmp_path, extra={f"{INFO}/METADATA": broken}))


def test_a_source_distribution_without_tests_is_refused(built: tuple[Path, Path], tmp_path: Path) -> None:
    with tarfile.open(built[0]) as archive:
        archive.extractall(tmp_path, filter="data")
    (root,) = tmp_path.iterdir()
    shutil.rmtree(root / "tests")
    path = tmp_path / built[0].name
    with tarfile.open(path, "w:gz") as archive:
        archive.add(root, arcname=root.name)
    assert check_dist.source_complaints(path) == [f"{path.name} lacks tests"]
