"""Clients of S3 with a bounded patience, and what their errors mean; must never know where credentials come from."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.errors import DataChangedError, InputError, OutageError

if TYPE_CHECKING:
    from botocore.config import Config

CONNECT_SECONDS = 5
READ_SECONDS = 30
ATTEMPTS = 5

_GONE = frozenset({"NoSuchKey", "NoSuchVersion", "NoSuchUpload", "404"})
# Their status is mostly 400 or 403, and a later try may succeed all the same.
_BUSY = frozenset({"RequestTimeout", "SlowDown", "Throttling", "ThrottlingException", "TooManyRequestsException"})
_REGION = frozenset({"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "301"})
_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "InvalidToken", "TokenRefreshRequired"})
_HTTP_FORBIDDEN, _HTTP_CONFLICT, _HTTP_PRECONDITION, _HTTP_TOO_MANY = 403, 409, 412, 429
_HTTP_SERVER, _HTTP_NOT_IMPLEMENTED = 500, 501
# S3 refuses requests whose time is further from its own.
_MAX_SKEW = timedelta(minutes=15)
# As botocore begins to say it of a parameter that came later than it did.
_UNKNOWN_CONDITION = re.compile(r'Unknown parameter in input: "(IfNoneMatch|IfMatch)"')


def client_config() -> Config:
    """Return time-outs and retries: an S3 that is down is known to be after about a minute, a silent one after three.

    botocore waits between its attempts, longer each time, and obeys what S3 says of its load.
    """
    from botocore.config import Config

    return Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        user_agent_extra="airflow-mlops-provider",
    )


def default_client(conn_id: str | None) -> Any:
    """Return a client by boto3's own chain: environment, profile, role; endpoint from ``AWS_ENDPOINT_URL``.

    Raises
    ------
    InputError
        A connection is named, which only Airflow knows.
    """
    import boto3

    if conn_id is not None:
        raise InputError(f"s3://{conn_id}@… names a connection, but there is no Airflow here. Hint: leave it out.")
    with s3_errors("S3"):
        # A session of its own, because boto3's shared one is not made for threads.
        return boto3.session.Session().client("s3", config=client_config())


@contextmanager
def s3_errors(uri: str, *, state: str = "Nothing was changed.") -> Iterator[None]:
    """Translate what boto3 raises.

    Parameters
    ----------
    uri : str
        What was reached for.
    state : str
        What an outage leaves, for its message.

    Raises
    ------
    FileNotFoundError
        There is no such object.
    DataChangedError
        The object is another one than the one asked for.
    InputError
        The bucket does not exist, access is denied, credentials are missing, wrong or expired, the region, the
        endpoint or the worker's clock is wrong, the store or boto3 knows no conditional writes.
    OutageError
        S3 failed, was silent or too busy, after all retries.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        raise _of_answer(error, uri, state) from None  # the answer may quote signed headers
    except BotoCoreError as error:
        raise _of_client(error, uri, state) from None


def _of_answer(error: Any, uri: str, state: str) -> Exception:
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    said = f"S3 answered {status} {code}".rstrip()
    if code == "NoSuchBucket":
        return InputError(f"{uri}: there is no such bucket. Hint: check its name, region and endpoint.")
    if code in _GONE:
        return FileNotFoundError(errno.ENOENT, "there is no such object", uri)
    if status == _HTTP_PRECONDITION:
        return DataChangedError(
            f"{uri} changed while it was in use. Hint: let writers write elsewhere, or try again when they are done."
        )
    if status == _HTTP_NOT_IMPLEMENTED:
        return InputError(
            f"{uri}: {said}: this store cannot do {error.operation_name} as it was asked. "
            "Hint: outputs need a store with conditional writes (If-None-Match and If-Match), as Amazon S3 has them."
        )
    if status >= _HTTP_SERVER or status in (_HTTP_CONFLICT, _HTTP_TOO_MANY) or code in _BUSY:
        # Not all of these does botocore try again.
        tries = int(error.response.get("ResponseMetadata", {}).get("RetryAttempts", 0)) + 1
        return OutageError(f"{uri}: {said}{f' after {tries} tries' if tries > 1 else ''}. {state}")
    return InputError(
        f"{uri}{' is refused' if status == _HTTP_FORBIDDEN else ''}: {said}{_advice(error, code, status)}"
    )


def _advice(error: Any, code: str, status: int) -> str:
    if code in _REGION:
        return ". Hint: set the bucket's region in the connection or AWS_REGION."
    if code in _EXPIRED:
        return ". Hint: renew the session token of the connection."
    if code == "RequestTimeTooSkewed" or (status == _HTTP_FORBIDDEN and _is_skewed(error)):
        return ", because this worker's clock is wrong. Hint: set it, and let it be kept by NTP."
    if status == _HTTP_FORBIDDEN:
        return ". Hint: check the keys and their policy; without s3:ListBucket, S3 says the same of a missing key."
    return ". Hint: check the address and the connection."


def _is_skewed(error: Any) -> bool:
    """Tell whether S3's clock says another time; what answers HEAD, the first request of most, has no code for it."""
    said = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", "")
    try:
        return abs(parsedate_to_datetime(said) - datetime.now(UTC)) > _MAX_SKEW
    except (TypeError, ValueError):  # no date, or one without zone
        return False


def _of_client(error: Exception, uri: str, state: str) -> Exception:
    from botocore import exceptions

    transient = (
        exceptions.HTTPClientError,
        exceptions.ConnectionError,
        exceptions.CredentialRetrievalError,
        exceptions.MetadataRetrievalError,
        exceptions.IncompleteReadError,
    )
    kind = type(error).__name__
    if isinstance(error, exceptions.NoCredentialsError):
        return InputError(f"{uri}: no AWS credentials were found. Hint: add an Airflow connection aws_default.")
    if isinstance(error, transient) and "CERTIFICATE_VERIFY_FAILED" not in str(error):
        return OutageError(f"{uri}: S3 does not answer ({kind}). {state}")
    if isinstance(error, exceptions.ParamValidationError) and (unknown := _UNKNOWN_CONDITION.search(str(error))):
        return InputError(
            f"{uri} cannot be written: boto3 on this worker is too old for conditional writes ({unknown[1]}). "
            "Hint: upgrade boto3 and botocore."
        )
    return InputError(f"{uri} cannot be reached: {kind}: {str(error)[:300].rstrip('.')}. Hint: check the connection.")
