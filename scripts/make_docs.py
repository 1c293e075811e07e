"""``make docs``: a page for each operator, sensor and decorator, made from its docstring and signature.

What there is is found by listing the package's modules, so a new operator gets its page without an entry anywhere.
A docstring that lacks what a page needs is refused with what to write. Nothing in ``docs/operators`` is written by
hand: the tests compare it with what this makes.
"""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docstring_parser
from airflow.sdk import BaseOperator
from docstring_parser import Docstring, DocstringParam

import airflow_mlops_provider
from airflow_mlops_provider.operators.base import MLOpsOperator

REPOSITORY = Path(__file__).resolve().parent.parent
DOCS = REPOSITORY / "docs" / "operators"
PACKAGE = Path(airflow_mlops_provider.__file__).parent
KINDS = ("operators", "sensors", "decorators")
# What @task fills in by itself.
OF_DECORATORS = {"python_callable", "op_args", "op_kwargs"}
ROLE = re.compile(r":\w+:`~?(?:[\w.]*\.)?(\w+)`")


class IncompleteDocstringError(Exception):
    """A docstring lacks what its page needs; the message says what to write."""


def operators() -> dict[str, type[BaseOperator]]:
    """Return every operator, sensor and decorated operator by the name of its page."""
    return {page_name(found): found for kind in KINDS for found in _classes(kind)}


def _classes(kind: str) -> Iterator[type[BaseOperator]]:
    for module in pkgutil.iter_modules([str(PACKAGE / kind)]):
        name = f"airflow_mlops_provider.{kind}.{module.name}"
        for found in vars(importlib.import_module(name)).values():
            if not inspect.isclass(found) or found.__module__ != name or inspect.isabstract(found):
                continue
            if issubclass(found, BaseOperator) and not found.__name__.startswith("_"):
                yield found


def page_name(operator: type[BaseOperator]) -> str:
    """Return the name of its page: the class, or ``task.<name>`` for a decorator."""
    return str(getattr(operator, "custom_operator_name", operator.__name__)).removeprefix("@")


def parsed(operator: type[BaseOperator]) -> Docstring:
    """Return a class's docstring, taken apart."""
    return docstring_parser.parse(inspect.getdoc(operator) or "", docstring_parser.DocstringStyle.NUMPYDOC)


def complaints(operator: type[BaseOperator]) -> list[str]:
    """Return what the docstring lacks."""
    text = parsed(operator)
    documented = {name.strip() for one in text.params for name in one.arg_name.split(",")}
    own = {
        parameter.name
        for parameter in inspect.signature(operator).parameters.values()
        if parameter.kind is not parameter.VAR_KEYWORD
    }
    inherited = {name.strip() for one in parsed(MLOpsOperator).params for name in one.arg_name.split(",")}
    found = [f"a parameter {name!r} under Parameters" for name in sorted(own - documented - inherited - OF_DECORATORS)]
    found += [f"no parameter {name!r}, which there is not" for name in sorted(documented - own - {"**kwargs"})]
    if "XCom" not in _notes(text):
        found.append("a paragraph 'XCom: ...' under Notes")
    if not _example(text):
        found.append("an example under Examples, as a doctest that constructs it")
    if not issubclass(operator, MLOpsOperator) and not text.raises:
        found.append("a section Raises")
    return found


def pages() -> dict[str, str]:
    """Return every page by its file's name, the list of them as ``README.md``."""
    there = operators()
    lacking = {name: found for name, operator in there.items() if (found := complaints(operator))}
    if lacking:
        lines = [f"{name}: needs {one}" for name, found in lacking.items() for one in found]
        raise IncompleteDocstringError("Docstrings lack what their pages need.\n" + "\n".join(lines))
    made = {f"{name}.md": _linked(_page(name, operator), set(there) - {name}) for name, operator in there.items()}
    return {"README.md": _index(there), **made}


def _index(there: dict[str, type[BaseOperator]]) -> str:
    lines = ["# Operators, sensors and decorators", "", "Made by `make docs` from the docstrings.", ""]
    lines += [f"- [`{_title(name)}`]({name}.md): {_markdown(_summary(there[name]))}" for name in sorted(there)]
    return "\n".join(lines) + "\n"


def _page(name: str, operator: type[BaseOperator]) -> str:
    text = parsed(operator)
    of_all = parsed(MLOpsOperator)
    ours = issubclass(operator, MLOpsOperator)
    own = {one.arg_name for one in text.params}
    inherited = [one for one in of_all.params if ours and one.arg_name not in own]
    example = [*_import_of(name, operator), *_example(text)]
    defaults = {one.name: one.default for one in inspect.signature(operator).parameters.values()}
    of_base = {one.name: one.default for one in inspect.signature(MLOpsOperator).parameters.values()}
    parts = [
        f"# {_title(name)}",
        _description(text),
        "\n".join(["## Example", "", "```python", *example, "```"]),
        "\n".join(
            ["## Parameters", "", *(_parameter(one, defaults) for one in text.params if one.arg_name != "**kwargs")]
        ),
        _rest(text),
        "Templated: " + ", ".join(f"`{field}`" for field in operator.template_fields) + ".",
    ]
    if inherited:
        parts += ["\n".join(["### Of every operator here", "", *(_parameter(one, of_base) for one in inherited)])]
    parts += [f"## XCom and effects\n\n{_markdown(_notes(text))}"]
    raised = {one.type_name: one.description for one in (*(of_all.raises if ours else ()), *text.raises)}
    parts += ["\n".join(["## Errors", "", *(f"- `{error}`: {_item(why)}" for error, why in raised.items())])]
    used = [path.name for path in sorted((REPOSITORY / "dags").glob("*.py")) if _names(path, name, operator)]
    if used:
        links = ", ".join(f"[`{file}`](../../dags/{file})" for file in used)
        parts += [f"## Example DAGs\n\n{links}"]
    return "\n\n".join(part for part in parts if part) + "\n"


def _title(name: str) -> str:
    return f"@{name}" if "." in name else name


def _import_of(name: str, operator: type[BaseOperator]) -> list[str]:
    # The decorator's own example imports `task`.
    return [] if "." in name else [f"from {operator.__module__} import {operator.__name__}", ""]


def _names(path: Path, name: str, operator: type[BaseOperator]) -> bool:
    return re.search(rf"\b{re.escape(name if '.' in name else operator.__name__)}\b", path.read_text()) is not None


def _summary(operator: type[BaseOperator]) -> str:
    return parsed(operator).short_description or ""


def _description(text: Docstring) -> str:
    return "\n\n".join(_markdown(part) for part in (text.short_description, text.long_description) if part)


def _parameter(one: DocstringParam, defaults: dict[str, Any]) -> str:
    names = [name.strip() for name in one.arg_name.split(",")]
    # The signature knows the defaults; what the docstring says of them is its description's part.
    given = {_default(defaults[name]) for name in names if name in defaults}
    kinds = [one.type_name or "", given.pop() if len(given) == 1 else ""]
    kind = ", ".join(_markdown(part) for part in kinds if part)
    about = _item(one.description)
    return f"- {', '.join(f'`{name}`' for name in names)}" + (f" ({kind})" if kind else "") + (about and f": {about}")


def _default(value: Any) -> str:
    if value is inspect.Parameter.empty:
        return "required"
    return "optional" if value is None else f"default `{value!r}`"


def _rest(text: Docstring) -> str:
    rest = next((one.description or "" for one in text.params if one.arg_name == "**kwargs"), "")
    return _markdown(rest) and f"Any other: {_markdown(rest)[0].lower()}{_markdown(rest)[1:]}"


def _notes(text: Docstring) -> str:
    return "\n\n".join(one.description or "" for one in text.meta if one.args[:1] == ["notes"])


def _example(text: Docstring) -> list[str]:
    source = "\n".join(one.description or "" for one in text.examples)
    snippets = "\n".join((one.snippet or "") for one in text.examples)
    examples = doctest.DocTestParser().get_examples(f"{snippets}\n{source}")
    return "".join(one.source for one in examples).rstrip().splitlines()


def _markdown(text: Any) -> str:
    """Return reStructuredText as we write it, roles and literals, in Markdown."""
    return ROLE.sub(r"`\1`", str(text or "")).replace("``", "`").strip()


def _item(text: Any) -> str:
    """Return text as the rest of a list's item."""
    return _markdown(text).replace("\n", "\n  ")


def _linked(page: str, names: set[str]) -> str:
    """Link the names of other pages, outside of code blocks."""
    start, fence, rest = page.partition("```python")
    code, end, rest = rest.partition("```\n")
    either = "|".join(sorted(name for name in names if "." not in name))
    word = re.compile(rf"(?<![\w`(/.\[])`?\b({either})\b`?(?![\w`(/\]]|\.\w)")
    return word.sub(r"[`\1`](\1.md)", start) + fence + code + end + word.sub(r"[`\1`](\1.md)", rest)


def main() -> int:
    """Write the pages, and remove those of what is gone."""
    try:
        made = pages()
    except IncompleteDocstringError as error:
        print(error, file=sys.stderr)
        return 1
    DOCS.mkdir(parents=True, exist_ok=True)
    for path in DOCS.glob("*.md"):
        if path.name not in made:
            path.unlink()
    for name, text in made.items():
        (DOCS / name).write_text(text)
    print(f"{len(made) - 1} pages in {DOCS.relative_to(REPOSITORY)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
