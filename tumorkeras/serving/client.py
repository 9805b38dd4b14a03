"""A model on a TF Serving server, called as if it were here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from types import TracebackType
from typing import Any, Protocol

import numpy as np

from tumorkeras.errors import ModelError
from tumorkeras.serving.client_address import Address, parse_address
from tumorkeras.serving.client_faults import Call, bad_answer
from tumorkeras.serving.client_rest import RestTransport
from tumorkeras.serving.client_tensors import Signature, fitted_inputs, output_faults


class _Transport(Protocol):
    def signatures(self) -> dict[str, Signature]: ...
    def versions(self) -> dict[int, str]: ...
    def predict(self, call: Call) -> dict[str, np.ndarray]: ...
    def close(self) -> None: ...


class ServingClient:
    """A model on a TF Serving server; :func:`tumorkeras.score` takes it like an export.

    Nothing is asked of the server before it is needed. Every fault of the server, the network or the inputs is a
    :class:`~tumorkeras.errors.ModelError` that says what was asked and what came.

    Parameters
    ----------
    url : str
        ``http(s)://HOST:8501`` (REST), ``grpc://HOST:8500``, or ``http(s)://HOST:8501/v1/models/NAME[/versions/N]``.
        A REST server may lie behind a gateway: the path before ``/v1`` is kept, and a user and password for it are
        read from ``~/.netrc``.
    name : str, optional
        Of the model, where the URL does not say it.
    version : int, optional
        By default what the server takes for the latest at each request; a job that must not change models under way
        names one.
    signature : str, default "serving_default"
        The signature to call.
    classes : sequence of str, optional
        Names by class id, for the table of :func:`tumorkeras.score`.
    timeout : float, default 10.0
        Seconds that one try may take to connect, and then until the answer comes.
    retries : int, default 3
        Further tries where the server cannot be reached or is busy (REST: 502, 503, 504; gRPC: UNAVAILABLE). A request
        that was refused, or took too long, is not repeated.
    batch_size : int, default 8
        Most rows in one request; with batching on, a server refuses more than its ``max_batch_size``.
    backoff : float, default 0.2
        The first further try is made at once, the second after twice this, in seconds, each one after that after twice
        the time.

    Raises
    ------
    ModelError
        With every fault, if an argument is wrong.

    Examples
    --------
    >>> client = ServingClient("http://localhost:8501/v1/models/cells", classes=["still", "moving"])
    >>> client
    ServingClient(http://localhost:8501: model 'cells', signature 'serving_default')

    With a server there, ``client.predict(inputs=images)["probabilities"]``, or ``tumorkeras.score(client, "scans/")``.
    """

    def __init__(
        self,
        url: str,
        name: str | None = None,
        *,
        version: int | None = None,
        signature: str = "serving_default",
        classes: Sequence[str] | None = None,
        timeout: float = 10.0,
        retries: int = 3,
        batch_size: int = 8,
        backoff: float = 0.2,
    ) -> None:
        faults = []
        for key, value, least in (("retries", retries, 0), ("batch_size", batch_size, 1)):
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                faults.append(f"{key}: {value!r} found, expected an integer from {least}")
        for key, seconds in (("timeout", timeout), ("backoff", backoff)):
            if not isinstance(seconds, int | float) or not 0 <= seconds < np.inf or (key == "timeout" and not seconds):
                faults.append(f"{key}: {seconds!r} found, expected seconds")
        if classes is not None and (isinstance(classes, str) or not all(isinstance(each, str) for each in classes)):
            faults.append(f"classes: {classes!r} found, expected a list of names")
        try:
            self.address: Address = parse_address(url, name, version)
        except ModelError as error:
            faults = error.faults + faults
        if faults:
            raise ModelError("ServingClient", faults)
        self.signature = signature
        self.classes = None if classes is None else tuple(classes)
        self.batch_size = batch_size
        self._settings = timeout, retries, backoff

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.address}, signature {self.signature!r})"

    @cached_property
    def signatures(self) -> dict[str, Signature]:
        """Name -> ``inputs`` and ``outputs`` of every signature, with dtype and shape, asked of the server once."""
        return self._transport.signatures()

    def versions(self) -> dict[int, str]:
        """State by version, ``"AVAILABLE"`` where it answers; empty where the server has no such model."""
        return self._transport.versions()

    def tensors(self) -> Signature:
        """What the client's signature reads and gives.

        Raises
        ------
        ModelError
            If the server has no such model or the model no such signature, or the server cannot be asked.
        """
        if self.signature not in self.signatures:
            found = ", ".join(self.signatures)
            raise ModelError(str(self.address), [f"signature: {self.signature!r} found, the model has {found}"])
        return self.signatures[self.signature]

    def predict(self, inputs: Mapping[str, Any] | None = None, /, **arrays: Any) -> dict[str, np.ndarray]:
        """Ask for the outputs of any number of rows, in requests of ``batch_size``.

        Parameters
        ----------
        inputs : mapping of str to array, optional
            (n, ...) for each input of the signature; numbers of any dtype that loses nothing but the rounding of
            floats; strings as bytes or str.
        **arrays
            The same, by name.

        Returns
        -------
        dict of str to ndarray
            (n, ...) for each output; strings are bytes, in arrays of objects.

        Raises
        ------
        ModelError
            If the inputs are not those of the signature, the server cannot be reached, is too slow, has no such model,
            or refuses, quoted in its own words; or the answer is not what the signature promises. Over REST also if
            something is sent that it does not carry: empty axes, float16 (NaN and infinities are carried).
        """
        signature = self.tensors()
        given, faults = fitted_inputs(signature, {**(inputs or {}), **arrays})
        if faults:
            raise ModelError(f"{self.address}: {self.signature}", faults)
        parts = [self._ask(call) for call in self._calls(signature, given)]
        if not parts:
            return {name: info.without_rows() for name, info in signature.outputs.items()}
        return {name: np.concatenate([part[name] for part in parts]) for name in signature.outputs}

    def _calls(self, signature: Signature, given: Mapping[str, np.ndarray]) -> Iterator[Call]:
        rows = len(next(iter(given.values()), ()))
        for start in range(0, rows, self.batch_size):
            piece = {name: array[start : start + self.batch_size] for name, array in given.items()}
            yield Call(self.signature, signature, piece)

    def _ask(self, call: Call) -> dict[str, np.ndarray]:
        outputs = self._transport.predict(call)
        faults = output_faults(call.signature, outputs, len(next(iter(call.inputs.values()))))
        if faults:
            raise bad_answer(self.address, call, faults)
        return outputs

    @cached_property
    def _transport(self) -> _Transport:
        if not self.address.server.startswith("grpc:"):
            return RestTransport(self.address, *self._settings)
        from tumorkeras.serving.client_grpc import GrpcTransport  # starts TensorFlow

        return GrpcTransport(self.address, *self._settings)

    def close(self) -> None:
        """End the connections; a client that is used again opens new ones."""
        if "_transport" in vars(self):
            self._transport.close()
            del self._transport

    def __enter__(self) -> ServingClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
