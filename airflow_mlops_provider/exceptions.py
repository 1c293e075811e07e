"""Errors that tasks raise, each saying whether Airflow should try again; nothing here may import heavy libraries.

::

    AirflowFailException          fails the task at once, whatever its retries
    ├── InvalidInputError         bad data, model, setting or permission: a retry fails again
    └── RejectedError             a bad verdict met ``on_reject="fail"``: a retry gives the same verdict
    RuntimeError
    └── RetryableError            an outage, or data that moved or are still being written: a retry may succeed
"""

from __future__ import annotations

from airflow.providers.common.compat.sdk import AirflowFailException


class InvalidInputError(AirflowFailException):
    """What the task was given is wrong; a retry would fail again, so none is made."""


class RejectedError(AirflowFailException):
    """The verdict is negative and ``on_reject="fail"``; the full verdict is in the task's XCom."""


class RetryableError(RuntimeError):
    """Something outside failed in a way that may pass; the message says what was left behind."""
