"""Which hosts an MLflow address must not name; must never ask the network, since addresses are read at parse time."""

from __future__ import annotations

import socket
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address
from unicodedata import normalize
from urllib.parse import unquote


def is_link_local(host: str) -> bool:
    """Tell whether a host is an address of the own link, where clouds hand out a machine's credentials.

    Counted as one is every form that the C library takes for such an address. A name that leads to one is not known
    here.

    Parameters
    ----------
    host : str
        As in a URL, without brackets.

    Examples
    --------
    >>> is_link_local("0xa9fea9fe"), is_link_local("::ffff:169.254.169.254"), is_link_local("mlflow.example")
    (True, True, False)
    """
    # As HTTP clients do before they look a name up: wide digits and dots are digits and dots.
    plain = normalize("NFKC", unquote(host)).replace("\u3002", ".").rstrip(".").partition("%")[0]
    address = _address(plain)
    return address is not None and (getattr(address, "ipv4_mapped", None) or address).is_link_local


def _address(text: str) -> IPv4Address | IPv6Address | None:
    with suppress(ValueError):
        return ip_address(text)
    # One to four numbers, also octal and hexadecimal.
    with suppress(OSError, ValueError):
        return IPv4Address(socket.inet_aton(text))
    return None
