from __future__ import annotations

import asyncio
import errno
import ssl
from typing import Any

import pytest

from airflow_mlops_provider.core.errors import InputError, OutageError
from airflow_mlops_provider.registry import rest
from airflow_mlops_provider.registry.session import TrackingServer

SERVER = TrackingServer(uri="https://127.0.0.1:9", ca_bundle="/some.pem")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (FileNotFoundError(errno.ENOENT, "No such file"), InputError),
        (PermissionError(errno.EACCES, "Permission denied"), InputError),
        (ssl.SSLError("no certificate or crl found"), InputError),
        (OSError(errno.EMFILE, "Too many open files"), OutageError),
        (OSError(errno.EIO, "Input/output error"), OutageError),
    ],
)
def test_only_a_bundle_that_cannot_serve_is_a_wrong_setting_and_a_busy_machine_is_none(
    error: OSError, told: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> None:
        raise error

    monkeypatch.setattr(rest, "_tls_context", fails)
    with pytest.raises(told):
        asyncio.run(rest.find_version(SERVER, "m", None))
