"""Asset URIs of registered models: ``mlflow://models/<name>``, ``…@<alias>``, and of what happens to them, ``…/drift``
and ``…/performance``.

Airflow calls :func:`sanitize_uri` whenever such an asset is constructed, so this module imports the standard library
only, and two spellings of one model must come out as one URI. It never looks whether the model exists.
"""

from __future__ import annotations

import re
from typing import Literal, get_args
from urllib.parse import SplitResult, quote, unquote, urlunsplit

from airflow_mlops_provider.core.errors import InputError

# Airflow refuses longer identifiers of assets.
MAX_URI_CHARACTERS = 1500

# What can happen to a model that serves: its data drift, its performance drops.
Topic = Literal["drift", "performance"]

_ALIAS = re.compile(r"[A-Za-z0-9_-]+")
_HINT = (
    "Hint: mlflow://models/<name>, mlflow://models/<name>@<alias> or mlflow://models/<name>/<topic>, of which topics "
    f"are {', '.join(get_args(Topic))}; "
    "model_asset_uri() writes it for any name."
)


def model_asset_uri(model_name: str, *, alias: str | None = None, topic: Topic | None = None) -> str:
    """Return the URI of the asset that stands for a registered model.

    Parameters
    ----------
    model_name : str
        Any name that MLflow accepts; what is special in a URI is percent-encoded.
    alias : str, optional
        The asset of one alias, for example ``champion``, instead of the whole model.
    topic : {"drift", "performance"}, optional
        The asset whose events say that the model's data drifted, or that its performance dropped, instead of the
        model's own.

    Returns
    -------
    str
        ASCII, at most 1500 characters.

    Raises
    ------
    InputError
        The name is blank or too long, or the alias is not one.

    Examples
    --------
    >>> model_asset_uri("churn")
    'mlflow://models/churn'
    >>> model_asset_uri("credit risk/EU", alias="champion"), model_asset_uri("churn", topic="drift")
    ('mlflow://models/credit%20risk%2FEU@champion', 'mlflow://models/churn/drift')
    """
    if not model_name.strip():
        raise InputError(f"model_name of a model asset must not be blank; got {model_name!r}.")
    if alias is not None and not _ALIAS.fullmatch(alias):
        raise InputError(f"alias of a model asset must consist of letters, digits, '_' and '-'; got {alias!r}.")
    try:
        encoded = quote(model_name, safe="")
    except UnicodeEncodeError as error:
        raise InputError(f"model_name of a model asset must be valid Unicode; got {model_name!r}.") from error
    if alias is not None and topic is not None:
        raise InputError(f"A model asset stands for an alias or for {topic}, not for both.")
    uri = f"mlflow://models/{encoded}" + ("" if alias is None else f"@{alias}") + ("" if topic is None else f"/{topic}")
    if len(uri) > MAX_URI_CHARACTERS:
        raise InputError(
            f"model_name of a model asset must fit into {MAX_URI_CHARACTERS} characters of URI; "
            f"got {len(uri)} for {model_name[:40]!r}…. Hint: characters outside ASCII count three times or more."
        )
    return uri


def sanitize_uri(uri: SplitResult) -> SplitResult:
    """Check and normalise the URI of a model asset; Airflow calls this for the scheme ``mlflow``.

    Parameters
    ----------
    uri : SplitResult
        As Airflow split it; user and fragment are already gone.

    Returns
    -------
    SplitResult
        With host ``models`` and the name percent-encoded in one way.

    Raises
    ------
    InputError
        It is not the URI of a model.

    Examples
    --------
    >>> from urllib.parse import urlsplit
    >>> sanitize_uri(urlsplit("mlflow://models/credit risk@champion")).geturl()
    'mlflow://models/credit%20risk@champion'
    """
    text = urlunsplit(uri)
    if uri.netloc.lower() != "models" or uri.query:
        raise InputError(f"The asset URI {text!r} does not name a model. {_HINT}")
    path = uri.path.removeprefix("/")
    topic = next((one for one in get_args(Topic) if path.endswith(f"/{one}")), None)
    encoded, separator, alias = path.removesuffix(f"/{topic}").partition("@")
    if "/" in encoded or not encoded:
        raise InputError(f"The asset URI {text!r} must hold one model name after 'models/'. {_HINT}")
    try:
        name = unquote(encoded, errors="strict")
    except UnicodeDecodeError as error:
        raise InputError(f"The model name in the asset URI {text!r} is not UTF-8. {_HINT}") from error
    normal = model_asset_uri(name, alias=alias if separator else None, topic=topic)
    return uri._replace(netloc="models", path=normal.removeprefix("mlflow://models"))
