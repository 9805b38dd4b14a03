"""What is said when a server is not there, refuses, or answers with something else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from tumorkeras.errors import ModelError
from tumorkeras.serving.client_address import Address
from tumorkeras.serving.client_tensors import Signature, TensorInfo

_MOST_WORDS = 500  # of what a server said


class Call(NamedTuple):
    """One request."""

    name: str
    signature: Signature
    inputs: Mapping[str, np.ndarray]

    def __str__(self) -> str:
        sent = {key: TensorInfo.of(values) for key, values in self.inputs.items()}
        return f"{self.name} reads {_listed(self.signature.inputs)} and was sent {_listed(sent)}"


def _listed(tensors: Mapping[str, TensorInfo]) -> str:
    return ", ".join(f"{name} {tensor}" for name, tensor in tensors.items())


def excerpt(words: str) -> str:
    """The beginning of what a server said, in quotes."""
    return repr(words if len(words) <= _MOST_WORDS else words[:_MOST_WORDS] + "...")


def not_reached(address: Address, tries: int, reason: object) -> ModelError:
    """There is no server, or none that speaks this protocol."""
    kind, other = ("gRPC", "REST") if address.server.startswith("grpc:") else ("REST", "gRPC")
    ports = {"REST": 8501, "gRPC": 8500}
    return ModelError(
        str(address),
        [
            f"the server cannot be reached, or is busy ({tries} tries): {excerpt(str(reason))}; see that TF Serving "
            f"runs there and that this is its port for {kind} ({ports[kind]} by default, {ports[other]} is for {other})"
        ],
    )


def too_slow(address: Address, timeout: float) -> ModelError:
    """No answer in time."""
    return ModelError(
        str(address), [f"no answer within {timeout:g} s; raise timeout=, or lower batch_size= to ask for less at once"]
    )


def refused(address: Address, asked: object, words: str, code: object) -> ModelError:
    """The server said no, in its own words."""
    return ModelError(str(address), [f"{asked}; the server refused ({code}): {excerpt(words)}"])


def not_served(address: Address, versions: Mapping[int, str], words: str) -> ModelError:
    """The server knows no such model, or not this version of it, or has not loaded it."""
    if not versions:
        mend = "names are those of the server's model config file or of its flag --model_name"
        return ModelError(str(address), [f"the server has no such model, it says {excerpt(words)}; {mend}"])
    found = ", ".join(f"{version} is {state}" for version, state in sorted(versions.items()))
    asked = "no version is" if address.version is None else f"version {address.version} is not"
    mend = "ask for one that is AVAILABLE, or wait until one is"
    return ModelError(str(address), [f"{asked} served; of its versions, {found}; {mend}"])


def bad_answer(address: Address, asked: object, faults: list[str]) -> ModelError:
    """What came is not what the signature promises."""
    return ModelError(f"{address}: {asked}; the answer does not fit", faults)
