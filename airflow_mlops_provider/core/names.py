"""Which names models and aliases may have; the same answer for every database behind MLflow, before anything is made.

MLflow leaves part of this to its database: PostgreSQL refuses what SQLite takes (length, NUL), so that a name which
works on a laptop fails in production after an hour of training.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any

from airflow_mlops_provider.core.errors import InputError

# MLflow's column has 256 characters for the name of an experiment, and the ledger's is "__mlops_ledger__.<model>".
MAX_MODEL_NAME_CHARACTERS = 239
MAX_ALIAS_CHARACTERS = 255
OWN_ALIASES = ("champion", "challenger")
# What turns the reading direction of the text that follows, so that a page shows another name than there is.
BIDIRECTIONAL_CONTROLS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_ALIAS = re.compile(r"[A-Za-z0-9_-]+")
_RESERVED = re.compile(r"latest|v\d+", re.IGNORECASE)


def check_model_name(model_name: Any) -> None:
    """Check the name of a registered model.

    Parameters
    ----------
    model_name : str
        1 to 239 characters, without ``/`` and ``:`` (MLflow's rule), ``?`` and ``@`` (at which MLflow cuts the address
        of a version, so that its files are not found), line breaks and other control characters, marks that turn the
        reading direction, and spaces at the ends.

    Raises
    ------
    InputError
        It is no such name.

    Examples
    --------
    >>> check_model_name("churn (Köln)")
    >>> check_model_name("churn/v2")
    Traceback (most recent call last):
        ...
    airflow_mlops_provider.core.errors.InputError: model_name must hold no '/' or ':' and be no path; got 'churn/v2'.
    """
    if not isinstance(model_name, str) or not 0 < len(model_name) <= MAX_MODEL_NAME_CHARACTERS:
        raise InputError(
            f"model_name must be a text of 1 to {MAX_MODEL_NAME_CHARACTERS} characters; got {model_name!r}."
        )
    if any(character in model_name for character in "/:") or model_name == "." or model_name.startswith(".."):
        raise InputError(f"model_name must hold no '/' or ':' and be no path; got {model_name!r}.")
    cut = next((character for character in model_name if character in "?@"), None)
    if cut is not None:
        raise InputError(
            f"model_name must hold no '?' or '@', at which MLflow cuts addresses such as models:/{model_name}/1; got "
            f"{model_name!r}. Hint: use another sign, e.g. {model_name.replace(cut, '_')!r}."
        )
    if model_name != model_name.strip():
        raise InputError(f"model_name must not begin or end with a space; got {model_name!r}.")
    bad = next((one for one in model_name if not _is_visible(one)), None)
    if bad is not None:
        raise InputError(f"model_name must hold no control character; got U+{ord(bad):04X} in {model_name!r}.")


def check_alias(alias: Any) -> None:
    """Check an alias of a registered model.

    Parameters
    ----------
    alias : str
        1 to 255 ASCII letters, digits, ``_`` or ``-``; neither ``latest`` nor ``v`` with a number, which MLflow keeps
        for itself; nor one of our own in other letters (``Champion``), which MLflow would take for a different one.

    Raises
    ------
    InputError
        It is no such alias.
    """
    if not isinstance(alias, str) or not _ALIAS.fullmatch(alias) or len(alias) > MAX_ALIAS_CHARACTERS:
        raise InputError(
            f"An alias must be 1 to {MAX_ALIAS_CHARACTERS} letters, digits, '_' or '-'; got {alias!r}. "
            "Hint: e.g. 'champion'."
        )
    if _RESERVED.fullmatch(alias):
        raise InputError(f"An alias must not be 'latest' or a version like 'v1', which MLflow keeps; got {alias!r}.")
    if alias.lower() in OWN_ALIASES and alias not in OWN_ALIASES:
        raise InputError(f"An alias differs by its capital letters; got {alias!r}. Hint: use {alias.lower()!r}.")


def _is_visible(character: str) -> bool:
    # Cc: NUL, line breaks, escapes. Cs: half of a character. Zl, Zp: line and paragraph separators.
    return unicodedata.category(character) not in {"Cc", "Cs", "Zl", "Zp"} and character not in BIDIRECTIONAL_CONTROLS
