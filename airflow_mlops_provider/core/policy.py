"""What policies share: being made from the mapping that a DAG or a Param gives. It knows no policy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from airflow_mlops_provider.core.errors import InputError
from airflow_mlops_provider.core.specs import from_mapping


class Policy:
    """Base of the policies, which are frozen dataclasses that check themselves when they are made."""

    __slots__ = ()

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Self:
        """Make a policy from a mapping of its fields.

        Raises
        ------
        InputError
            A field is unknown, has a wrong value or contradicts another.
        """
        return from_mapping(cls, given)

    @classmethod
    def of(cls, given: Self | Mapping[str, Any] | None) -> Self:
        """Return the policy that a user's argument stands for; None for the default.

        Raises
        ------
        InputError
            It is neither such a policy nor a mapping of its fields.
        """
        if given is None:
            return cls()
        if isinstance(given, cls):
            return given
        if not isinstance(given, Mapping):
            name = cls.__name__
            raise InputError(f"A policy must be a {name} or a mapping of its fields; got {given!r}. Hint: {name}(...).")
        return cls.from_dict(given)
