"""Where a served model is: the server, the model's name, its version."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, quote, unquote, urlsplit

from tumorkeras.errors import ModelError

_FORMS = "http(s)://HOST:8501, http(s)://HOST:8501/v1/models/NAME[/versions/N] or grpc://HOST:8500"
_MODELS = "/v1/models/"
_MODEL = re.compile(r"([^/:]+)(?:/versions/(\d+))?/?")


@dataclass(frozen=True)
class Address:
    """A model on a server.

    Attributes
    ----------
    server : str
        ``scheme://host:port``, of a server behind a gateway with the path that leads there.
    name : str
        Of the model.
    version : int or None
        None: the one that the server takes itself, by default the largest.
    """

    server: str
    name: str
    version: int | None = None

    @property
    def target(self) -> str:
        """``host:port``, as gRPC has it."""
        return self.server.partition("://")[2]

    @property
    def all_versions(self) -> str:
        """The model in the REST interface."""
        return f"{self.server}{_MODELS}{quote(self.name, safe='')}"

    @property
    def model(self) -> str:
        """The version in the REST interface."""
        return self.all_versions if self.version is None else f"{self.all_versions}/versions/{self.version}"

    def __str__(self) -> str:
        version = "" if self.version is None else f", version {self.version}"
        return f"{self.server}: model {self.name!r}{version}"


def parse_address(url: Any, name: Any = None, version: Any = None) -> Address:
    """Put together what the URL says and what is said beside it.

    Raises
    ------
    ModelError
        With every fault, if it is no address, or says something else than ``name`` and ``version`` do.

    Examples
    --------
    >>> str(parse_address("http://localhost:8501/v1/models/cells/versions/3"))
    "http://localhost:8501: model 'cells', version 3"
    >>> parse_address("grpc://localhost", "cells").target
    'localhost:8500'
    """
    parts = urlsplit(url) if isinstance(url, str) else SplitResult("", "", "", "", "")
    prefix, marker, rest = parts.path.partition(_MODELS)
    model = _MODEL.fullmatch(rest) if marker else None
    faults = _url_faults(url, parts, marker, rest)
    own_name, own_version = (unquote(model[1]), model[2] and int(model[2])) if model else (None, None)
    for key, given, own in (("name", name, own_name), ("version", version, own_version)):
        if given is not None and own is not None and given != own:
            faults.append(f"{key}: {given!r} found, but the url says {own!r}; say it once")
    name = own_name if name is None else name
    version = own_version if version is None else version
    if not (isinstance(name, str) and name):
        faults.append(f"name: {name!r} found, expected the model's name, as the server's configuration has it")
    if version is not None and (not isinstance(version, int) or isinstance(version, bool) or version < 0):
        faults.append(f"version: {version!r} found, expected an integer from 0, or None for the latest")
    if faults:
        raise ModelError("ServingClient", faults)
    port = ":8500" if parts.scheme == "grpc" and parts.port is None else ""
    return Address(f"{parts.scheme}://{parts.netloc}{port}{prefix.rstrip('/')}", name, version)


def _url_faults(url: Any, parts: SplitResult, marker: str, rest: str) -> list[str]:
    if "@" in parts.netloc:  # not shown: it may hold a password
        return ["url: holds a user or password; put them into the file ~/.netrc"]
    try:
        is_server = bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number
        is_server = False
    is_grpc = parts.scheme == "grpc"
    path_fits = parts.path in ("", "/") if is_grpc else not marker or _MODEL.fullmatch(rest)
    if parts.scheme in ("http", "https", "grpc") and is_server and path_fits and not (parts.query or parts.fragment):
        return []
    return [f"url: {url!r} found, expected {_FORMS}"]
