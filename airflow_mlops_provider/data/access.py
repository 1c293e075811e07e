"""How the data's addresses are reached, and which of them may be; made by who knows the deployment."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.data.s3_client import default_client
from airflow_mlops_provider.data.s3_path import S3Path, is_s3, s3_path


@dataclass(frozen=True, slots=True, kw_only=True)
class DataAccess:
    """The ways to data.

    Parameters
    ----------
    s3_client : callable
        From the connection that an address names, or None, to a boto3 client of S3. By default, boto3's own chain.
    allowed_prefixes : sequence of str, default ()
        ``s3://bucket/folder`` addresses and absolute local folders, below which data may be read and outputs written;
        empty allows all.
    """

    s3_client: Callable[[str | None], Any] = default_client
    allowed_prefixes: tuple[str, ...] = ()

    def check_s3(self, path: S3Path) -> None:
        """Refuse a place in a bucket that is below no allowed prefix; raises `InputError`."""
        allowed = [s3_path(one).public_uri for one in self.allowed_prefixes if is_s3(one)]
        if self.allowed_prefixes and not any(f"{path.public_uri}/".startswith(f"{one}/") for one in allowed):
            raise self._refusal(path.public_uri)

    def check_local(self, path: str) -> None:
        """Refuse a local path that leads, all links followed, below no allowed prefix; raises `InputError`."""
        allowed = [
            Path(os.path.realpath(one.removeprefix("file://"))) for one in self.allowed_prefixes if not is_s3(one)
        ]
        real = Path(os.path.realpath(path))
        if self.allowed_prefixes and not any(real.is_relative_to(one) for one in allowed):
            raise self._refusal(path)

    def _refusal(self, shown: str) -> InputError:
        return InputError(
            f"{shown} is outside of what this deployment allows: {', '.join(self.allowed_prefixes)}. "
            "Hint: the Airflow option allowed_data_prefixes in section mlops says so."
        )


DEFAULT_ACCESS = DataAccess()
