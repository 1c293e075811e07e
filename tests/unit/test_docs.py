"""The pages of ``docs/operators`` are what the docstrings say, and their examples construct what they show."""

from __future__ import annotations

from pathlib import Path

import pytest
from airflow.sdk import DAG, BaseOperator

from scripts import make_docs

REPOSITORY = Path(__file__).resolve().parents[2]
OPERATORS = make_docs.operators()


@pytest.mark.parametrize("name", sorted(OPERATORS))
def test_a_docstring_has_what_its_page_needs(name: str) -> None:
    lacking = make_docs.complaints(OPERATORS[name])
    assert not lacking, f"The docstring of {name} needs {'; '.join(lacking)}."


def test_the_pages_are_those_that_the_docstrings_make() -> None:
    written = {path.name: path.read_text() for path in make_docs.DOCS.glob("*.md")}
    made = make_docs.pages()
    stale = sorted(name for name in {*made, *written} if made.get(name) != written.get(name))
    assert not stale, f"docs/operators is older than the docstrings ({', '.join(stale)}); run: make docs"


@pytest.mark.parametrize("name", sorted(OPERATORS))
def test_the_example_on_a_page_runs_as_it_stands(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    code = (make_docs.DOCS / f"{name}.md").read_text().split("```python\n")[1].split("```")[0]
    made: list[BaseOperator] = []
    names: dict[str, object] = {"__name__": "page"}
    with DAG("page", schedule=None) as dag:
        exec(code, names)
        if name.startswith("task."):
            names["fit"](depth=3)
        made = list(dag.tasks)
    assert [type(one) for one in made] == [OPERATORS[name]]


class Undocumented(BaseOperator):
    """Do something.

    Parameters
    ----------
    gone : int
        It is no more.
    """

    def __init__(self, *, here: int, **kwargs: object) -> None:
        super().__init__(**kwargs)


def test_a_docstring_that_lacks_something_is_told_what() -> None:
    assert make_docs.complaints(Undocumented) == [
        "a parameter 'here' under Parameters",
        "no parameter 'gone', which there is not",
        "a paragraph 'XCom: ...' under Notes",
        "an example under Examples, as a doctest that constructs it",
        "a section Raises",
    ]


def test_every_operator_is_in_the_index_and_links_lead_to_files() -> None:
    index = (make_docs.DOCS / "README.md").read_text()
    for name in OPERATORS:
        assert f"({name}.md)" in index
    for path in make_docs.DOCS.glob("*.md"):
        for target in make_docs.re.findall(r"\]\(([^)]+)\)", path.read_text()):
            assert (path.parent / target).exists(), (path.name, target)
