"""An address of S3 means one place, and what could mean another is refused."""

from __future__ import annotations

import pytest

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.data.s3_path import S3Path, s3_path


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("s3://lake/a/b.csv", S3Path(bucket="lake", key="a/b.csv")),
        ("S3://lake/a/", S3Path(bucket="lake", key="a", is_folder=True)),
        ("s3://lake", S3Path(bucket="lake", key="", is_folder=True)),
        ("s3://minio_1@lake/a", S3Path(bucket="lake", key="a", conn_id="minio_1")),
        # A key is no URI: its percent signs are its own.
        ("s3://lake/city=New%20York/a+b ü?#.csv", S3Path(bucket="lake", key="city=New%20York/a+b ü?#.csv")),
        ("s3://lake/a..b/...csv", S3Path(bucket="lake", key="a..b/...csv")),
    ],
)
def test_an_address_is_a_bucket_and_a_key_as_it_stands(text: str, path: S3Path) -> None:
    assert s3_path(text) == path


def test_it_says_the_connection_to_who_reads_and_not_to_the_world() -> None:
    path = s3_path("s3://minio@lake/a/")
    assert (path.uri, path.public_uri, path.at("b/c").uri) == (
        "s3://minio@lake/a",
        "s3://lake/a",
        "s3://minio@lake/b/c",
    )


@pytest.mark.parametrize(
    "key",
    [
        *("../x.csv", "a/../x.csv", "a/..", "./x.csv", "a//x.csv", "//x.csv", "a\\..\\x.csv"),
        *("%2e%2e/x.csv", "a/%2E./x.csv", "a%2f..%2fx.csv", "a/%252e%252e/x.csv", "a%5c..%5cx.csv", "a%2f%2fx.csv"),
        *("a\nb.csv", "a%00.csv", "a%0d%0ab.csv"),
    ],
)
def test_a_key_that_could_be_read_as_another_is_refused(key: str) -> None:
    with pytest.raises(InputError, match=r"empty, '\.' or '\.\.'|control characters"):
        s3_path(f"s3://lake/{key}")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("s3:///x.csv", "must name a bucket"),
        ("s3://..", "must name a bucket"),
        ("s3://b%2fc/x.csv", "must name a bucket"),
        ("s3://ann:secret@lake/x.csv", r"s3://lake/x\.csv must not hold credentials"),
        ("s3://ann:sec/secret@lake/x.csv", r"s3://lake/x\.csv must not hold credentials"),
        ("s3://AKIA:a/b@c/secret@lake/../x.csv", "must not hold credentials"),
        ("s3://minio@secret b/x@y", "must not hold credentials"),
        ("s3://@lake/x.csv", "must not hold credentials"),
        ("s3://lake/" + "x" * 1025, "more than 1024 bytes"),
    ],
)
def test_what_is_no_address_is_refused_without_its_secret(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        s3_path(text)
    assert "secret" not in str(caught.value)
