"""Texts are counted by their value, however they are stored and coded."""

from collections import Counter
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_mlops_provider.core.category_counter import MAX_NAME_BYTES, CategoryCounter, category_name
from airflow_mlops_provider.core.histogram import CategoryGrid

GRID = CategoryGrid(kind="text", categories=("a", "", "ü", category_name("x" * 500)), complete=True)
TEXTS = st.none() | st.sampled_from(["a", "", "ü", "A", "x" * 500, "x" * 501, "new"]) | st.text(max_size=2)


def counted(*arrays: pa.Array, grid: CategoryGrid = GRID) -> tuple[dict[str, Any], int]:
    counter = CategoryCounter(grid)
    nulls = sum(counter.add(array) for array in arrays)
    return counter.counts(), nulls


@given(texts=st.lists(TEXTS), start=st.integers(0, 3))
def test_counts_do_not_depend_on_storage(texts: list[str | None], start: int) -> None:
    plain = pa.array(texts, pa.string()).slice(start)
    found, nulls = counted(plain)
    names = [category_name(text) for text in texts[start:] if text is not None]
    expected = Counter(names)
    assert nulls == len(texts[start:]) - len(names)
    assert {GRID.categories[i]: n for i, n in zip(found["cells"], found["counts"], strict=True)} == {
        name: expected[name] for name in GRID.categories if expected[name]
    }
    others = {name for name in names if name not in GRID.categories}
    assert found["other"] == sum(expected[name] for name in others)
    assert found["other_examples"] == tuple(sorted(name for name in others if "…" not in name)[:10])
    forms = [plain.cast(pa.large_string()), plain.dictionary_encode(), plain.dictionary_encode().slice(0)]
    forms.append(pa.array(texts, pa.string()).dictionary_encode().slice(start))  # with entries that do not occur
    for form in forms:
        assert counted(form) == (found, nulls)
    assert counted(*(plain.slice(i, 1) for i in range(len(plain)))) == (found, nulls)


def test_a_null_or_a_text_may_be_in_a_dictionary_more_than_once() -> None:
    indices = pa.array([0, 1, 2, 3, 1, None, 4])
    array = pa.DictionaryArray.from_arrays(indices, pa.array(["a", None, "a", "b", "never", "new"]))
    found, nulls = counted(array)
    assert (found["cells"], found["counts"], found["other"], nulls) == ((0,), (2,), 2, 3)
    assert found["other_examples"] == ("b", "never")


def test_another_dictionary_of_the_same_size_is_looked_up_anew() -> None:
    found, _ = counted(pa.array(["a", "ü"]).dictionary_encode(), pa.array(["ü", "ü", "a"]).dictionary_encode())
    assert (found["cells"], found["counts"]) == ((0, 2), (2, 3))


def test_no_example_is_kept_where_the_reference_had_rare_texts() -> None:
    rare = CategoryGrid(kind="text", categories=("a",), complete=False)
    found, _ = counted(pa.array(["a", "someone"]), grid=rare)
    assert (found["other"], found["other_examples"]) == (1, ())


def test_booleans_are_counted_without_texts() -> None:
    grid = CategoryGrid(kind="boolean", categories=("false", "true"), complete=True)
    found, nulls = counted(pa.array([True, None, False, True]), pa.array([True, None]).slice(1), grid=grid)
    assert (found["cells"], found["counts"], nulls, found["registers"]) == ((0, 1), (1, 2), 2, None)


@pytest.mark.parametrize("text", ["x" * MAX_NAME_BYTES, "ü" * (MAX_NAME_BYTES // 2)])
def test_names_are_shortened_beyond_the_limit_of_bytes_only(text: str) -> None:
    assert category_name(text) == text
    longer = category_name(text + "x")
    assert len(longer.encode()) <= MAX_NAME_BYTES
    assert longer.startswith(text[0] * 10)
    assert longer != category_name(text + "y")
