from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.store.artifact.models_artifact_repo import ModelsArtifactRepository
from mlflow.store.artifact.utils.models import _parse_model_uri
from mlflow.utils.validation import (
    _validate_experiment_name,
    _validate_model_alias_name,
    _validate_model_alias_name_reserved,
    _validate_model_name,
)

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.names import check_alias, check_model_name


@pytest.mark.parametrize(
    "name",
    ["churn", "it's", 'say "x"', "<img src=x onerror=alert(1)>", "été 👩‍🔬", "a.b", "x" * 239, "顧客", "a`b", "%2e%2e"],
)
def test_names_that_every_database_takes_are_accepted(name: str) -> None:
    check_model_name(name)


@pytest.mark.parametrize(
    "name",
    [
        *("", " ", "a ", " a", "\ta", "x" * 240, "x" * 300, None, 3, b"churn"),
        *("a/b", "a:b", "/etc/passwd", ".", "..", "../x", "..churn", "models:/churn/1"),
        *("why?", "?", "a?b", "x@champion", "a@b.c", "@", "a@"),
        *("a\x00b", "a\nb", "a\rb", "a\x1b[31mb", "a\x7fb", "a\u2028b", "a\ud800b", "abc\u202exe", "a\u2066b"),
    ],
)
def test_names_that_a_database_or_a_page_would_mistake_are_refused(name: Any) -> None:
    with pytest.raises(InputError, match="model_name must"):
        check_model_name(name)


@given(st.text(max_size=300))
def test_what_is_accepted_is_accepted_by_mlflow_and_fits_its_columns(name: str) -> None:
    try:
        check_model_name(name)
    except InputError:
        return
    _validate_model_name(name)
    assert _parse_model_uri(f"models:/{name}/1") == (None, name, "1", None, None)
    assert ModelsArtifactRepository.split_models_uri(f"models:/{name}/1") == (f"models:/{name}/1", "")
    _validate_experiment_name(f"__mlops_ledger__.{name}")
    assert len(f"__mlops_ledger__.{name}") <= 256
    assert "\x00" not in name
    name.encode("utf-8")


@pytest.mark.parametrize("alias", ["champion", "challenger", "shadow-2", "A_b", "v", "v1a", "x" * 255])
def test_aliases_that_mlflow_takes_are_accepted(alias: str) -> None:
    check_alias(alias)
    _validate_model_alias_name(alias)
    _validate_model_alias_name_reserved(alias)


@pytest.mark.parametrize(
    "alias",
    ["", "latest", "Latest", "v1", "V12", "a b", "champion\n", "é", "x" * 256, None, 1, "Champion", "CHALLENGER"],
)
def test_aliases_that_mlflow_refuses_or_mistakes_are_refused(alias: Any) -> None:
    with pytest.raises(InputError, match="alias"):
        check_alias(alias)
