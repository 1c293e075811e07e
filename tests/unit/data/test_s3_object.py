"""Tables in S3 are read in ranges of one version, only what is asked for, and never a mixture."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_mlops_provider.core.errors import DataChangedError, InputError, NoDataError
from airflow_mlops_provider.data.access import DataAccess
from airflow_mlops_provider.data.table_files import open_files
from tests.conftest import Bucket

ROWS = 60_000


def table(rows: int = ROWS, columns: int = 12, seed: int = 0) -> pa.Table:
    """A table that does not compress."""
    numbers = np.random.default_rng(seed)
    return pa.table({f"c{i}": numbers.random(rows) for i in range(columns)} | {"city": ["ü", None] * (rows // 2)})


def parquet(rows: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(rows, sink, row_group_size=20_000)
    return sink.getvalue()


@pytest.fixture
def asked(s3: Bucket) -> tuple[DataAccess, list[dict[str, Any]]]:
    """Access to S3, and the parameters of each request for bytes made with it."""
    calls: list[dict[str, Any]] = []
    s3.client.meta.events.register("provide-client-params.s3.GetObject", lambda params, **_: calls.append(dict(params)))
    return s3.access, calls


def bytes_of(calls: list[dict[str, Any]]) -> int:
    ranges = [call["Range"].removeprefix("bytes=").split("-") for call in calls]
    return sum(int(last) - int(first) + 1 for first, last in ranges)


def test_every_format_gives_the_rows_it_gives_on_a_disk(s3: Bucket, tmp_path: Path, telco: Path) -> None:
    frame = pd.read_csv(telco)
    frame.to_parquet(tmp_path / "t.parquet", index=False)
    frame.to_feather(tmp_path / "t.feather")
    frame.to_json(tmp_path / "t.jsonl", orient="records", lines=True)
    (tmp_path / "t.csv").write_bytes(telco.read_bytes())
    for name in ("t.csv", "t.jsonl"):
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress((tmp_path / name).read_bytes()))
    for path in sorted(tmp_path.glob("t.*")):
        with open_files(s3.put(path.name, path.read_bytes()), access=s3.access) as remote, open_files(path) as local:
            assert remote.to_table().equals(local.to_table()), path.name
            assert remote.to_table(["churn", "tenure"]).equals(local.to_table(["churn", "tenure"])), path.name
            assert remote.count_rows() == 7043


def test_one_column_costs_its_own_bytes_and_few_requests(
    s3: Bucket, asked: tuple[DataAccess, list[dict[str, Any]]]
) -> None:
    access, calls = asked
    body = parquet(table())
    with open_files(s3.put("t.parquet", body), access=access) as source:
        assert source.count_rows() == ROWS
        assert bytes_of(calls) < 0.05 * len(body)  # the footer
        calls.clear()
        assert source.to_table(["c3"]).column("c3").equals(table().column("c3"))
    # One of twelve columns of random numbers is a twelfth of the file.
    assert bytes_of(calls) < 0.12 * len(body)
    assert len(calls) <= 12
    assert all(set(call) >= {"IfMatch", "Range"} for call in calls)


def test_the_fingerprint_costs_no_byte_and_changes_with_them(
    s3: Bucket, asked: tuple[DataAccess, list[dict[str, Any]]]
) -> None:
    access, calls = asked
    prints = []
    for seed in (0, 0, 1):
        with open_files(s3.put("t.parquet", parquet(table(100, seed=seed))), access=access) as source:
            source.count_rows()
            calls.clear()
            prints.append(source.fingerprint())
            assert calls == []
    assert prints[0].sha256 == prints[1].sha256 != prints[2].sha256
    assert {(one.basis, one.rows, len(one.sha256)) for one in prints} == {("etag", 100, 64)}


def test_in_a_versioned_bucket_the_version_counts_too(
    s3: Bucket, asked: tuple[DataAccess, list[dict[str, Any]]]
) -> None:
    access, calls = asked
    s3.client.put_bucket_versioning(Bucket=s3.name, VersioningConfiguration={"Status": "Enabled"})
    prints = []
    for _ in range(2):
        with open_files(s3.put("t.parquet", parquet(table(100))), access=access) as source:
            prints.append(source.fingerprint().sha256)
            version = s3.client.head_object(Bucket=s3.name, Key="t.parquet")["VersionId"]
            assert {call["VersionId"] for call in calls} == {version}
            calls.clear()
    assert prints[0] != prints[1]


@pytest.mark.parametrize("versioned", [False, True])
@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_an_object_replaced_in_the_middle_is_noticed_and_never_mixed(s3: Bucket, suffix: str, versioned: bool) -> None:
    if versioned:
        s3.client.put_bucket_versioning(Bucket=s3.name, VersioningConfiguration={"Status": "Enabled"})

    def body(value: float) -> bytes:
        # Of one length, so that only the ETag tells.
        rows = pa.table(
            {"x": np.full(400_000, value)} | {f"c{i}": np.random.default_rng(i).random(400_000) for i in range(1)}
        )
        return parquet(rows) if suffix == "parquet" else rows.to_pandas().to_csv(index=False).encode()

    with open_files(s3.put(f"t.{suffix}", body(1.5)), access=s3.access) as source:
        source.count_rows()
        seen = set()

        def read() -> None:
            for number, batch in enumerate(source.batches(batch_rows=10_000)):
                seen.update(batch.column(0).unique().to_pylist())
                if number == 0:
                    s3.put(f"t.{suffix}", body(2.5))

        with pytest.raises(DataChangedError, match="changed while it was in use"):
            read()
    assert seen == {1.5}


def test_an_object_that_is_deleted_in_the_middle_is_noticed(s3: Bucket) -> None:
    with open_files(s3.put("t.parquet", parquet(table(100))), access=s3.access) as source:
        source.count_rows()
        s3.client.delete_object(Bucket=s3.name, Key="t.parquet")
        with pytest.raises(DataChangedError, match="disappeared"):
            source.to_table()
        with pytest.raises(DataChangedError, match="disappeared"):
            source.fingerprint()


def test_a_damaged_or_empty_object_is_refused(s3: Bucket) -> None:
    whole = parquet(table(1000))
    packed = gzip.compress(b"a,b\n1,2\n" * 1000)
    for name, body in (("t.parquet", whole[:-100]), ("t.csv.gz", packed[:-20])):
        with open_files(s3.put(name, body), access=s3.access) as source, pytest.raises(InputError, match="whole"):
            source.count_rows()
    with pytest.raises(NoDataError, match="0 bytes"):
        open_files(s3.put("empty.parquet", b""), access=s3.access)


def test_memory_does_not_grow_with_the_object(s3: Bucket, tmp_path: Path) -> None:
    code = (
        "import sys\nfrom airflow_mlops_provider.data.table_files import open_files\n"
        "with open_files(sys.argv[1]) as source:\n"
        "    sum(batch.num_rows for batch in source.batches())\n"
        "print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])"
    )
    used = []
    for rows in (200_000, 600_000):
        sink = io.BytesIO()
        pq.write_table(table(rows, columns=15), sink, row_group_size=rows)
        uri = s3.put(f"{rows}.parquet", sink.getvalue())
        done = subprocess.run([sys.executable, "-c", code, uri], env=os.environ, capture_output=True, check=True)
        used.append(int(done.stdout))
    # The large one is some 72 MB, and so is its only row group; decoded batches and buffers are all that is held.
    assert used[1] - used[0] < 40_000
