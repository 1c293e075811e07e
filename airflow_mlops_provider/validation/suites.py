"""Turns what users call a suite (dicts, Great Expectations objects, a JSON file, a callable) into checked expectations.

Nothing is run here. An expectation that Great Expectations does not know, or whose settings it refuses, is an error
before any data are read, so that a misspelt suite is never mistaken for a passed one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.validation.quiet import quiet_gx

if TYPE_CHECKING:
    from great_expectations.core import ExpectationSuite
    from great_expectations.expectations.expectation import Expectation
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    SuiteSource: TypeAlias = (
        str | os.PathLike[str] | Sequence[Mapping[str, Any] | Expectation] | ExpectationSuite | Callable[[], Any]
    )

# Ours decide what leaves the worker and what happens to an exception, whatever an exported suite says.
IGNORED_SETTINGS = frozenset({"result_format", "catch_exceptions", "include_config", "batch_id"})


def load_suite(suite: SuiteSource) -> tuple[ExpectationConfiguration, ...]:
    """Return the expectations of a suite, each accepted by Great Expectations.

    Parameters
    ----------
    suite : str, path, sequence, ExpectationSuite or callable
        Path of a JSON file ``{"name": …, "expectations": [{"type", "kwargs", "severity"}, …]}``; a list of such
        expectations or of Great Expectations' own objects; or a callable without arguments that returns one of these.

    Returns
    -------
    tuple of ExpectationConfiguration
        At least one, in the order given.

    Raises
    ------
    InputError
        The file cannot be read, the suite is empty, or an expectation is unknown or wrongly set.
    """
    with quiet_gx():
        import great_expectations  # noqa: F401 - here, so that what it says of itself stays out of the log
    where = "suite"
    if callable(suite):
        where = f"suite made by {getattr(suite, '__qualname__', type(suite).__name__)}"
        suite = suite()
    if isinstance(suite, str | os.PathLike):
        where = f"suite {os.fspath(suite)!r}"
        suite = _read(os.fspath(suite))
    entries = _entries(suite, where)
    if not entries:
        raise InputError(f"The {where} must hold at least one expectation; it is empty, so anything would pass it.")
    return tuple(_checked(entry, f"Expectation {number} of the {where}") for number, entry in enumerate(entries, 1))


def _read(path: str) -> Any:
    try:
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
    except OSError as error:
        raise InputError(
            f"The suite file {path!r} cannot be read: {error.strerror or type(error).__name__}. "
            "Hint: give the path of a Great Expectations suite in JSON."
        ) from error
    except ValueError as error:
        raise InputError(f"The suite file {path!r} is not JSON in UTF-8: {error}.") from error
    if not isinstance(content, Mapping) or "expectations" not in content:
        raise InputError(f"The suite file {path!r} must hold an object with 'expectations'.")
    return content["expectations"]


def _entries(suite: Any, where: str) -> list[Any]:
    if hasattr(suite, "expectation_configurations"):
        return list(suite.expectation_configurations)
    if isinstance(suite, Mapping) or not isinstance(suite, Sequence) or isinstance(suite, str):
        raise InputError(
            f"The {where} must be a list of expectations, a JSON file, an ExpectationSuite or a callable; "
            f"got {type(suite).__name__}."
        )
    return list(suite)


def _checked(entry: Any, where: str) -> ExpectationConfiguration:
    from great_expectations.exceptions.exceptions import ExpectationNotFoundError
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    values = _values(entry, where)
    name, kwargs = values["type"], values["kwargs"]
    try:
        configuration = ExpectationConfiguration(
            type=name,
            kwargs={key: value for key, value in kwargs.items() if key not in IGNORED_SETTINGS},
            **{key: values[key] for key in ("severity", "meta", "description") if values.get(key) is not None},
        )
        return configuration.to_domain_obj().configuration
    except ExpectationNotFoundError as error:
        raise InputError(
            f"{where}: Great Expectations knows no {name!r}. Hint: write the type like "
            "'expect_column_values_to_be_between', and import the module of a custom expectation in a callable suite."
        ) from error
    except Exception as error:
        # Great Expectations checks settings by pydantic, assertions and its own errors alike.
        raise InputError(f"{where}: {name} refuses its settings {kwargs}: {' '.join(str(error).split())}.") from error


def _values(entry: Any, where: str) -> dict[str, Any]:
    configuration = getattr(entry, "configuration", entry)
    if hasattr(configuration, "to_json_dict"):
        configuration = configuration.to_json_dict()
    if not isinstance(configuration, Mapping):
        raise InputError(f"{where} must be a mapping or an Expectation; got {type(entry).__name__}.")
    if "expectation_type" in configuration:
        raise InputError(
            f"{where} is in the form of Great Expectations before 1.0 ('expectation_type'). "
            "Hint: write {'type': …, 'kwargs': {…}}."
        )
    unknown = set(configuration) - {
        "type",
        "kwargs",
        "severity",
        "meta",
        "description",
        "notes",
        "id",
        "rendered_content",
    }
    kwargs = configuration.get("kwargs", {})
    if unknown or not isinstance(configuration.get("type"), str) or not isinstance(kwargs, Mapping):
        raise InputError(
            f"{where} must have 'type' (text) and 'kwargs' (mapping), and may have 'severity'; "
            f"got {sorted(map(str, configuration))}."
        )
    return {**configuration, "kwargs": dict(kwargs)}
