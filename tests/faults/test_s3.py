"""S3 that fails now and then is read and written all the same; one that is down is an outage, and leaves no half."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import boto3
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from botocore.config import Config

from airflow_mlops_provider.core.errors import InputError, NoDataError, OutageError, UnfinishedDataError
from airflow_mlops_provider.data.access import DataAccess
from airflow_mlops_provider.data.output import output_place
from airflow_mlops_provider.data.s3_client import client_config
from airflow_mlops_provider.data.table_files import open_files
from airflow_mlops_provider.data.writer import ParquetWriter
from tests.conftest import Bucket
from tests.faults.proxy import FaultyProxy, Mode, faulty_proxy

ROWS = pa.table({"key": range(1000), "score": np.random.default_rng(0).random(1000)})
READS = [("HEAD", "500 before"), ("HEAD", "503 before"), ("GET", "503 before"), ("GET", "reset before"), ("GET", "cut")]
# Creating an upload is not among the lost answers: S3 keeps an empty one then, which nobody knows of.
WRITES: list[tuple[str, Mode]] = [
    *(("?uploads", "500 before"), ("?uploadId=", "503 after"), ("?uploadId=", "reset after")),
    *(("partNumber=", "reset after"), ("PUT", "503 before"), ("DELETE", "503 after"), ("HEAD", "503 before")),
]


@pytest.fixture
def proxy(s3_url: str) -> Iterator[FaultyProxy]:
    with faulty_proxy(s3_url) as proxy:
        yield proxy


@pytest.fixture
def access(s3: Bucket, proxy: FaultyProxy) -> DataAccess:
    """Through the proxy, as patient as in production but for the time of silence."""
    config = client_config().merge(
        Config(read_timeout=1, retries={"mode": "standard", "total_max_attempts": 2}, s3={"addressing_style": "path"})
    )
    client = boto3.session.Session().client("s3", config=config, endpoint_url=proxy.url)
    return DataAccess(s3_client=lambda _: client)


def parquet() -> bytes:
    sink = io.BytesIO()
    pq.write_table(ROWS, sink)
    return sink.getvalue()


def writer(s3: Bucket, access: DataAccess, key: str) -> ParquetWriter:
    place = output_place(s3.uri(key), access=access)
    return ParquetWriter(place, schema=ROWS.schema, owner="a" * 64, about={"written_by": "test"})


def write(s3: Bucket, access: DataAccess, key: str) -> None:
    with writer(s3, access, key) as out:
        out.write(ROWS)
        out.publish()


def read(s3: Bucket, access: DataAccess, key: str) -> pa.Table:
    with open_files(s3.uri(key), access=access) as source:
        return source.to_table()


@pytest.mark.parametrize(("method", "mode"), READS)
def test_a_request_that_fails_once_is_made_again(
    s3: Bucket, access: DataAccess, proxy: FaultyProxy, method: str, mode: Mode
) -> None:
    s3.put("in/a.parquet", parquet())
    fault = proxy.fail(mode, path=f"{method} /{s3.name}", times=1)
    assert read(s3, access, "in/").equals(ROWS)
    assert fault.struck == 1


@pytest.mark.parametrize("mode", ["500 before", "503 before", "reset before", "cut", "hang before", "refuse"])
def test_an_s3_that_is_down_is_an_outage(s3: Bucket, access: DataAccess, proxy: FaultyProxy, mode: Mode) -> None:
    s3.put("a.parquet", parquet())
    with open_files(s3.uri("a.parquet"), access=access) as source:
        # What a HEAD answers has no body to be cut.
        proxy.fail(mode, path=f"GET /{s3.name}/" if mode == "cut" else "")
        with pytest.raises(OutageError, match=r"S3 (answered|does not answer).*Nothing was changed"):
            source.to_table()
        proxy.lift()
        assert source.to_table().equals(ROWS)


@pytest.mark.parametrize("key", ["out/scores.parquet", "out/scores"])
@pytest.mark.parametrize(("line", "mode"), WRITES)
def test_an_output_whose_request_fails_once_or_whose_answer_is_lost_is_there_once(
    s3: Bucket, access: DataAccess, proxy: FaultyProxy, line: str, mode: Mode, key: str
) -> None:
    fault = proxy.fail(mode, path=line, times=1)
    write(s3, access, key)
    assert read(s3, s3.access, key).equals(ROWS)
    # Publishing a folder looks at no single object.
    assert fault.struck == (0 if line == "HEAD" and key == "out/scores" else 1)
    assert s3.uploads() == []
    assert len(s3.keys()) == (1 if key.endswith("parquet") else 2)


@pytest.mark.parametrize("line", ["partNumber=1", "uploadId=", "POST", "DELETE"])
def test_an_output_that_cannot_be_published_is_no_data_until_the_next_try(
    s3: Bucket, access: DataAccess, proxy: FaultyProxy, line: str
) -> None:
    out = writer(s3, access, "out/scores")
    out.write(ROWS)
    proxy.fail("503 before", path=line)
    with pytest.raises(OutageError, match="Nothing was published"):
        out.publish()
    out.close()
    # Where S3 lets nothing be deleted, the mark stays.
    with pytest.raises(UnfinishedDataError if line in ("uploadId=", "DELETE") else NoDataError):
        read(s3, s3.access, "out/")
    proxy.lift()
    write(s3, access, "out/scores")
    assert read(s3, s3.access, "out/").equals(ROWS)
    assert s3.keys() == ["out/scores/_SUCCESS", "out/scores/part-00000.parquet"]


ANSWERS = [
    (403, "AccessDenied", "is refused"),
    (403, "InvalidAccessKeyId", "check the keys"),
    (400, "ExpiredToken", "renew the session token"),
    (301, "PermanentRedirect", "region"),
]


@pytest.mark.parametrize(("status", "code", "words"), ANSWERS)
def test_what_s3_refuses_is_told_and_not_tried_again(
    s3: Bucket, access: DataAccess, monkeypatch: pytest.MonkeyPatch, status: int, code: str, words: str
) -> None:
    client = access.s3_client(None)
    asked = []

    def answer(**_: Any) -> tuple[Any, dict[str, Any]]:
        asked.append(code)
        http = type("Answer", (), {"status_code": status, "headers": {}, "content": b"", "raw": None})()
        return http, {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": {}}}

    client.meta.events.register("before-call.s3.HeadObject", answer)
    with pytest.raises(InputError, match=words):
        open_files(s3.uri("a.parquet"), access=access)
    assert asked == [code]
