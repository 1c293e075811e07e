"""What errors of S3 mean where a worker writes a run's files past the MLflow server; must never repeat the request."""

from __future__ import annotations

from airflow_mlops_provider.core.errors import InputError, OutageError

_LIBRARIES = frozenset({"boto3", "botocore", "s3transfer"})
_WRONG = frozenset({"NoCredentialsError", "PartialCredentialsError", "ProfileNotFound", "ParamValidationError"})
# Refused now and perhaps not later, though their status says otherwise.
_BUSY = frozenset({"RequestTimeout", "SlowDown", "Throttling", "ThrottlingException"})
_CODE_IN_TEXT = "AccessDenied", "NoSuchBucket", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken"
_CLIENT_ERRORS = range(400, 500)


def artifact_store_error(error: Exception) -> InputError | OutageError | None:
    """Translate an error of the S3 client that MLflow uses; None for any other error.

    Parameters
    ----------
    error : Exception
        As it came out of MLflow.

    Examples
    --------
    >>> artifact_store_error(ValueError("x")) is None
    True
    """
    if type(error).__module__.partition(".")[0] not in _LIBRARIES:
        return None
    answer = getattr(error, "response", None) or {}
    code = str(answer.get("Error", {}).get("Code", ""))
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode")
    # An upload that failed keeps the answer as text only.
    code = code or next((one for one in _CODE_IN_TEXT if f"({one})" in str(error)), "")
    said = f"{type(error).__name__} {code}".rstrip()
    refused = status in _CLIENT_ERRORS if status else code in _CODE_IN_TEXT
    if type(error).__name__ in _WRONG or (refused and code not in _BUSY):
        return InputError(
            f"The store of MLflow's artifacts refused ({said}). Hint: check the worker's AWS credentials and the "
            "bucket, or let the MLflow server serve artifacts."
        )
    return OutageError(
        f"The store of MLflow's artifacts does not answer ({said}). What was logged before stays; no version was "
        "promoted by this call. A retry may succeed."
    )
