"""Clients of S3 with a bounded patience, and what their errors mean; must never know where credentials come from."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow_mlops_provider.core.errors import DataChangedError, InputError, OutageError

if TYPE_CHECKING:
    from botocore.config import Config

CONNECT_SECONDS = 5
READ_SECONDS = 30
ATTEMPTS = 5

_GONE = frozenset({"NoSuchKey", "NoSuchVersion", "NoSuchUpload", "404"})
# Their status is 400 or 403, and a later try may succeed all the same.
_BUSY = frozenset({"RequestTimeout", "SlowDown", "Throttling", "ThrottlingException", "TooManyRequestsException"})
_REGION = frozenset({"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "301"})
_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "InvalidToken", "TokenRefreshRequired"})
_HTTP_FORBIDDEN, _HTTP_PRECONDITION, _HTTP_CONFLICT, _HTTP_SERVER = 403, 412, 409, 500


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
        The bucket does not exist, access is denied, credentials are missing, wrong or expired, the region or the
        endpoint is wrong.
    OutageError
        S3 failed or was silent, after all retries.
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
    if status >= _HTTP_SERVER or status == _HTTP_CONFLICT or code in _BUSY:
        return OutageError(f"{uri}: {said} after {ATTEMPTS} tries. {state}")
    if code in _REGION:
        return InputError(f"{uri}: {said}. Hint: set the bucket's region in the connection or AWS_REGION.")
    if code in _EXPIRED:
        return InputError(f"{uri}: {said}. Hint: renew the session token of the connection.")
    if status == _HTTP_FORBIDDEN:
        return InputError(
            f"{uri} is refused: {said}. Hint: check the keys and their policy; "
            "without s3:ListBucket, S3 says the same of a missing key."
        )
    return InputError(f"{uri}: {said}. Hint: check the address and the connection.")


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
    return InputError(f"{uri} cannot be reached: {kind}: {str(error)[:300].rstrip('.')}. Hint: check the connection.")
