"""``make dist``: builds what would be published, and proves it in an environment that has nothing else.

The wheel is made from the source distribution, so that neither can lack what the other has. It is installed in an empty
environment, away from the working tree: Airflow must list the provider, every module must import, and the example of
the README must make a champion. It publishes nothing.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from pathlib import Path, PurePosixPath

from packaging.metadata import Metadata

REPOSITORY = Path(__file__).resolve().parent.parent
PACKAGE = "airflow_mlops_provider"
NAME = "airflow-mlops-provider"
# What a source distribution needs beside the package, so that others can test and build from it.
IN_SOURCE = (
    *("README.md", "CHANGELOG.md", "LICENSE", "pyproject.toml", "constraints.txt", "Makefile"),
    *("tests", "dags", "scripts", "docs", "benchmarks"),
)

IMPORT_ALL = f"""
import importlib, pkgutil, {PACKAGE}
names = [one.name for one in pkgutil.walk_packages({PACKAGE}.__path__, "{PACKAGE}.")]
for name in names:
    importlib.import_module(name)
print("IMPORTED", len(names), {PACKAGE}.__file__)
"""

CHAMPION = f"""
from {PACKAGE}.hooks.mlflow import embedded_server
from {PACKAGE}.registry.session import open_registry
from {PACKAGE}.registry.versions import by_alias
with open_registry(embedded_server()) as registry:
    print("CHAMPION", by_alias(registry, "churn_ten_lines", "champion").version)
"""


def main() -> int:
    """Build, check and try; print what was found."""
    dist = REPOSITORY / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="airflow-mlops-dist-") as folder:
        source, wheel = build(Path(folder), dist)
        print(f"[dist] built {source.name} and {wheel.name}")
        missing = wheel_complaints(wheel) + source_complaints(source)
        if missing:
            print("\n".join(missing), file=sys.stderr)
            return 1
        print("[dist] their contents and metadata are in order")
        python = install(Path(folder) / "venv", wheel)
        print("[dist] installed in an empty environment")
        elsewhere = Path(folder) / "elsewhere"
        elsewhere.mkdir()
        try_out(python, elsewhere)
    return 0


def build(folder: Path, dist: Path) -> tuple[Path, Path]:
    """Build the source distribution from the tree, and the wheel from the source distribution."""
    hatchling = [sys.executable, "-m", "hatchling", "build", "--directory", str(dist)]
    subprocess.run([*hatchling, "--target", "sdist"], cwd=REPOSITORY, check=True, capture_output=True)
    (source,) = dist.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        archive.extractall(folder / "source", filter="data")
    (root,) = (folder / "source").iterdir()
    subprocess.run([*hatchling, "--target", "wheel"], cwd=root, check=True, capture_output=True)
    (wheel,) = dist.glob("*.whl")
    return source, wheel


def wheel_complaints(wheel: Path) -> list[str]:
    """Return what the wheel has too little or too much, and what is wrong in its metadata."""
    with zipfile.ZipFile(wheel) as archive:
        inside = set(archive.namelist())
        (info,) = {name.partition("/")[0] for name in inside if ".dist-info/" in name}
        about = archive.read(f"{info}/METADATA")
    expected = {
        path.relative_to(REPOSITORY).as_posix()
        for path in (REPOSITORY / PACKAGE).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    expected |= {f"{PACKAGE}/py.typed", f"{info}/licenses/LICENSE", f"{info}/entry_points.txt"}
    found = [f"{wheel.name} lacks {name}" for name in sorted(expected - inside)]
    found += [
        f"{wheel.name} holds {name}" for name in sorted(inside - expected) if PurePosixPath(name).parts[0] != info
    ]
    # Raises a group of all that is wrong: fields, versions, classifiers, specifiers.
    metadata = Metadata.from_email(about, validate=True)
    if not (metadata.description or "").startswith(f"# {NAME}"):
        found.append(f"{wheel.name} does not carry the README as its description")
    if metadata.description_content_type != "text/markdown":
        found.append(f"{wheel.name} does not say that its description is Markdown")
    return found


def source_complaints(source: Path) -> list[str]:
    """Return what the source distribution lacks."""
    with tarfile.open(source) as archive:
        inside = {PurePosixPath(name).parts[1] for name in archive.getnames() if "/" in name}
    return [f"{source.name} lacks {name}" for name in IN_SOURCE if name not in inside]


def install(folder: Path, wheel: Path) -> Path:
    """Install the wheel alone, within the tested set, and return the interpreter."""
    constraints = ["--constraint", str(REPOSITORY / "constraints.txt")]
    python = folder / "bin" / "python"
    if uv := shutil.which("uv"):
        subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(folder)], check=True)
        command = [uv, "pip", "install", "--quiet", "--python", str(python)]
    else:
        venv.create(folder, with_pip=True)
        command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
    subprocess.run([*command, *constraints, str(wheel)], check=True)
    return python


def try_out(python: Path, folder: Path) -> None:
    """List the provider, import everything and run the README's example, where nothing of the working tree is seen."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "PYTHON"))}
    environment |= {"AIRFLOW_HOME": str(folder / "airflow"), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
    environment |= {"AIRFLOW__CORE__DAGS_FOLDER": str(folder / "dags"), "PATH": f"{python.parent}:{os.environ['PATH']}"}

    def run(*command: str) -> str:
        done = subprocess.run(
            [str(python), *command], cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            print(done.stdout[-4000:], done.stderr[-4000:], sep="\n", file=sys.stderr)
            raise SystemExit(f"[dist] failed: {' '.join(command)}")
        return done.stdout

    imported = run("-c", IMPORT_ALL).partition("IMPORTED")[2].split()
    if str(python.parent.parent) not in imported[1]:
        raise SystemExit(f"[dist] imported from {imported[1]}, not from what was installed")
    print(f"[dist] imported all {imported[0]} modules")
    listed = run("-m", "airflow", "providers", "list", "--output", "json")
    names = {row["package_name"] for row in json.loads(listed[listed.index("[") :])}
    if NAME not in names:
        raise SystemExit(f"[dist] airflow providers list shows {', '.join(sorted(names))}, and not {NAME}")
    run("-m", "airflow", "providers", "get", NAME)
    print("[dist] airflow providers list and get show the provider")
    # The example names its data by the path they have in the repository; they are no part of the package.
    data = folder / "dags" / "data" / "telco_churn.csv"
    data.parent.mkdir(parents=True)
    shutil.copy(REPOSITORY / "dags" / "data" / "telco_churn.csv", data)
    code = (REPOSITORY / "README.md").read_text().split("```python\n")[1].split("```")[0]
    (folder / "dags" / "churn.py").write_text(code)
    run("-m", "airflow", "db", "migrate")
    run("-m", "airflow", "dags", "test", "churn")
    champion = run("-c", CHAMPION).partition("CHAMPION")[2].strip()
    if champion != "1":
        raise SystemExit(f"[dist] the README's example left {champion or 'no'} champion, not version 1")
    print("[dist] the README's example made a champion")


if __name__ == "__main__":
    sys.exit(main())
