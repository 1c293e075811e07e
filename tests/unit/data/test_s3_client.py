"""What S3 and boto3 say is told apart by whether a later try may succeed, and says what to do."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from botocore.exceptions import ClientError, ParamValidationError

from airflow_mlops_provider.core.errors import DataChangedError, InputError, OutageError
from airflow_mlops_provider.data.s3_client import s3_errors
from tests.conftest import Bucket


def raised(error: Exception) -> Exception:
    with pytest.raises(Exception) as caught, s3_errors("s3://lake/a.csv", state="Nothing is seen."):  # noqa: PT011
        raise error
    return caught.value


def answer(status: int, code: str, *, retries: int = 0) -> ClientError:
    meta = {"HTTPStatusCode": status, "RetryAttempts": retries}
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": meta}, "CompleteMultipartUpload")  # type: ignore[typeddict-item]


@pytest.mark.parametrize(
    ("status", "code", "kind", "words"),
    [
        (404, "NoSuchKey", FileNotFoundError, "no such object"),
        (404, "NoSuchBucket", InputError, "no such bucket"),
        (412, "PreconditionFailed", DataChangedError, "changed while it was in use"),
        (409, "OperationAborted", OutageError, "answered 409 OperationAborted. Nothing is seen"),
        (500, "InternalError", OutageError, "answered 500 InternalError"),
        (503, "SlowDown", OutageError, "answered 503 SlowDown"),
        (400, "RequestTimeout", OutageError, "answered 400 RequestTimeout"),
        (429, "TooManyRequests", OutageError, "answered 429 TooManyRequests"),
        (501, "NotImplemented", InputError, "cannot do CompleteMultipartUpload as it was asked.*If-None-Match"),
        (301, "PermanentRedirect", InputError, "region"),
        (400, "ExpiredToken", InputError, "renew the session token"),
        (403, "RequestTimeTooSkewed", InputError, "this worker's clock is wrong.*Hint: set it"),
        (403, "AccessDenied", InputError, "check the keys and their policy"),
        (400, "InvalidArgument", InputError, "check the address"),
    ],
)
def test_an_answer_of_s3_is_what_a_later_try_would_make_of_it(
    status: int, code: str, kind: type[Exception], words: str
) -> None:
    error = raised(answer(status, code))
    assert type(error) is kind
    assert re.search(words, str(error)), error


@pytest.mark.parametrize(
    ("date", "wrong"),
    [
        (datetime.now(UTC) - timedelta(hours=1), True),
        (datetime.now(UTC) + timedelta(minutes=1), False),
        (None, False),
    ],
)
def test_a_head_that_is_refused_for_the_clock_is_known_by_its_date(date: datetime | None, wrong: bool) -> None:
    error = answer(403, "403")
    error.response["ResponseMetadata"]["HTTPHeaders"] = {} if date is None else {"date": format_datetime(date)}
    assert ("clock is wrong" in str(raised(error))) is wrong


def test_an_outage_tells_how_often_it_was_tried() -> None:
    assert "503 SlowDown after 5 tries." in str(raised(answer(503, "SlowDown", retries=4)))


@pytest.mark.parametrize("name", ["IfNoneMatch", "IfMatch"])
def test_a_boto3_without_conditional_writes_is_told(name: str) -> None:
    # As botocore says it of any parameter that it does not know.
    report = f'Unknown parameter in input: "{name}", must be one of: Bucket, Key, MultipartUpload'
    error = raised(ParamValidationError(report=report))
    assert type(error) is InputError
    assert "too old" in str(error)
    assert "Hint: upgrade boto3" in str(error)


def test_botocore_says_so_of_a_parameter_that_it_does_not_know(s3: Bucket) -> None:
    with pytest.raises(ParamValidationError, match='Unknown parameter in input: "IfSomeMatch"'):
        s3.client.put_object(Bucket="b", Key="k", Body=b"", IfSomeMatch="*")
    error = raised(ParamValidationError(report='Unknown parameter in input: "IfSomeMatch", must be one of: Key'))
    assert "too old" not in str(error)
