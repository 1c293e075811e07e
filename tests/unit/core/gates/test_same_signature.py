"""The same input columns with the same types."""

from __future__ import annotations

import pytest

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.gates.same_signature import SameSignature
from airflow_mlops_provider.core.gating import Evidence

THEIRS = {"age": "double", "contract": "string"}


def judged(binary, ours, theirs=THEIRS, **options):
    return SameSignature(**options).judge(
        Evidence(challenger=binary(1), champion=binary(1), challenger_signature=ours, champion_signature=theirs)
    )


def test_the_same_columns_in_any_order_pass(binary):
    assert judged(binary, {"contract": "string", "age": "double"}).passed


@pytest.mark.parametrize(
    ("ours", "option", "message"),
    [
        (THEIRS | {"region": "string"}, "allow_new_columns", "'region' is new"),
        ({"age": "double"}, "allow_removed_columns", "'contract' is gone"),
    ],
)
def test_new_and_removed_columns_pass_only_when_allowed(binary, ours, option, message):
    other = {"allow_new_columns", "allow_removed_columns"} - {option}
    result = judged(binary, ours, **dict.fromkeys(other, True))
    assert not result.passed
    assert message in result.message
    assert judged(binary, ours, **{option: True}).passed


def test_a_changed_type_never_passes(binary):
    result = judged(binary, THEIRS | {"age": "long"}, allow_new_columns=True, allow_removed_columns=True)
    assert not result.passed
    assert "'age' changed from double to long" in result.message
    assert result.observed["changed"] == {"age": ["double", "long"]}


@pytest.mark.parametrize(("ours", "theirs", "who"), [(None, THEIRS, "challenger"), (THEIRS, None, "champion")])
def test_a_signature_that_was_not_recorded_is_no_answer(binary, ours, theirs, who):
    with pytest.raises(InputError, match=f"signature of the {who} was not recorded"):
        judged(binary, ours, theirs)
