"""The REST interface of TF Serving.

References
----------
https://www.tensorflow.org/tfx/serving/api_rest
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import ReadTimeoutError
from urllib3.util import Retry

from tumorkeras.errors import ModelError
from tumorkeras.serving.client_address import Address
from tumorkeras.serving.client_faults import Call, bad_answer, excerpt, not_reached, not_served, refused, too_slow
from tumorkeras.serving.client_tensors import Signature, TensorInfo, read_signatures

_AGAIN = (502, 503, 504)  # what a server says that is busy, starts or ends
_NOT_FOUND = 404
_BEGINNING = 1000  # bytes of a body that may be quoted
_BASE64 = "b64"
# What may come for each kind of number; a whole number is also a float.
_KINDS = {"f": "fiu", "i": "iu", "u": "iu", "b": "b"}
# The server's JSON has these and no other; TF Serving, tensorflow_serving/util/json_tensor.cc.
_CARRIED = {"bool", "string", "float32", "float64"} | {f"{kind}{bits}" for kind in ("int", "uint") for bits in (32, 64)}
_CARRIED |= {"int8", "int16", "uint8"}


class _Retry(Retry):
    """Ask again where nobody answered or somebody was busy, not where the answer took too long."""

    def increment(self, *arguments: Any, **named: Any) -> Any:
        error = named.get("error")
        if isinstance(error, ReadTimeoutError):
            raise error
        return super().increment(*arguments, **named)


class RestTransport:
    """One model behind the REST interface; see :class:`tumorkeras.ServingClient`."""

    def __init__(self, address: Address, timeout: float, retries: int, backoff: float) -> None:
        self._address, self._timeout, self._tries = address, timeout, retries + 1
        # A prediction changes nothing on the server, so a POST may be repeated.
        policy = _Retry(
            retries,
            allowed_methods=None,
            status_forcelist=_AGAIN,
            backoff_factor=backoff,
            raise_on_status=False,
            respect_retry_after_header=False,
        )
        self._session = requests.Session()
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(max_retries=policy))

    def signatures(self) -> dict[str, Signature]:
        """All that the model has."""
        asked = "its metadata"
        answer = self._answer("GET", f"{self._address.model}/metadata", asked)
        try:
            return read_signatures(answer["metadata"]["signature_def"]["signature_def"])
        except (KeyError, TypeError, ValueError, AttributeError):
            raise bad_answer(self._address, asked, [f"{excerpt(json.dumps(answer))} came"]) from None

    def versions(self) -> dict[int, str]:
        """State by version; empty where the server has no such model."""
        response = self._ask("GET", self._address.all_versions)
        if response.status_code == _NOT_FOUND:
            return {}
        asked = "its versions"
        answer = self._read(response, asked)
        try:
            return {int(each["version"]): _state(each) for each in answer["model_version_status"]}
        except (KeyError, TypeError, ValueError):
            raise bad_answer(self._address, asked, [f"{excerpt(json.dumps(answer))} came"]) from None

    def predict(self, call: Call) -> dict[str, np.ndarray]:
        """One request, in the column format: every input whole, under its name."""
        faults = [fault for name, array in call.inputs.items() for fault in _cannot_be_sent(name, array)]
        faults += [_not_carried(name, info.dtype) for name, info in call.signature.outputs.items()]
        if faults := [fault for fault in faults if fault]:
            raise ModelError(str(self._address), [f"{fault}; use grpc://HOST:8500" for fault in faults])
        columns = {name: array.tolist() for name, array in call.inputs.items()}
        # NaN and Infinity are no JSON, but TF Serving writes and reads them as Python does.
        body = json.dumps({"signature_name": call.name, "inputs": columns}, default=_as_base64)
        answer = self._answer("POST", f"{self._address.model}:predict", call, body)
        outputs = answer.get("outputs") if isinstance(answer, dict) else None
        if outputs is None:
            raise bad_answer(self._address, call, [f"{excerpt(json.dumps(answer))} came, expected 'outputs'"])
        return self._arrays(call, outputs)

    def close(self) -> None:
        """End the connections."""
        self._session.close()

    def _arrays(self, call: Call, outputs: Any) -> dict[str, np.ndarray]:
        promised = call.signature.outputs
        if len(promised) == 1:  # then it comes without its name
            outputs = dict.fromkeys(promised, outputs)
        if not isinstance(outputs, dict):
            raise bad_answer(self._address, call, [f"one output came, without a name; expected {', '.join(promised)}"])
        arrays, faults = {}, []
        for name in [name for name in promised if name in outputs]:
            try:
                arrays[name] = _array(outputs[name], promised[name])
            except (TypeError, ValueError, AttributeError) as error:
                faults.append(f"{name}: {error}")
        if faults:
            raise bad_answer(self._address, call, faults)
        return arrays

    def _answer(self, method: str, url: str, asked: object, body: str | None = None) -> Any:
        return self._read(self._ask(method, url, body), asked)

    def _ask(self, method: str, url: str, body: str | None = None) -> requests.Response:
        headers = {"Content-Type": "application/json"}
        try:
            return self._session.request(
                method, url, data=body, headers=headers, timeout=self._timeout, allow_redirects=False
            )
        except requests.RequestException as error:
            # Where the body stops to come, it is a connection error around the time-out.
            if isinstance(error, requests.ReadTimeout) or isinstance((*error.args, None)[0], ReadTimeoutError):
                raise too_slow(self._address, self._timeout) from None
            reason = getattr((*error.args, None)[0], "reason", None) or error
            raise not_reached(self._address, self._tries, reason) from None

    def _read(self, response: requests.Response, asked: object) -> Any:
        code, words = response.status_code, response.content[:_BEGINNING].decode(errors="replace")
        try:
            content = json.loads(response.content.decode(), object_hook=_from_base64)
        except UnicodeDecodeError:
            mend = "REST carries bytes only in outputs whose names end in _bytes; use grpc://HOST:8500"
            raise bad_answer(self._address, asked, [f"it is no text in UTF-8; {mend}"]) from None
        except ValueError:
            found = f"{excerpt(words)} came with status {code}, expected JSON; is this TF Serving's REST port?"
            raise bad_answer(self._address, asked, [found]) from None
        if response.ok and not response.is_redirect:
            return content
        if isinstance(content, dict) and isinstance(content.get("error"), str):
            words = content["error"]
        if code == _NOT_FOUND:
            raise not_served(self._address, self.versions(), words)
        tries = f" after {self._tries} tries" if code in _AGAIN else ""
        raise refused(self._address, asked, words, f"status {code}{tries}")


def _state(status: Mapping[str, Any]) -> str:
    words = status.get("status", {}).get("error_message", "")
    return f"{status['state']}: {words}" if words else str(status["state"])


def _cannot_be_sent(name: str, array: np.ndarray) -> list[str]:
    dtype = TensorInfo.of(array).dtype
    faults = [_not_carried(name, dtype)]
    if 0 in array.shape:
        faults.append(f"{name}: has the shape {array.shape}, and JSON does not carry empty axes")
    return faults


def _not_carried(name: str, dtype: str) -> str:
    return "" if dtype in _CARRIED else f"{name}: is {dtype}, which the REST interface does not carry"


def _as_base64(value: bytes) -> dict[str, str]:
    return {_BASE64: base64.b64encode(value).decode()}


def _from_base64(value: dict[str, Any]) -> Any:
    if value.keys() != {_BASE64} or not isinstance(value[_BASE64], str):
        return value
    try:
        return base64.b64decode(value[_BASE64], validate=True)
    except binascii.Error:
        return value


def _array(value: Any, info: TensorInfo) -> np.ndarray:
    """The array of nested lists."""
    if info.dtype == "string":
        array = np.asarray(value, dtype=object)
        return np.asarray(np.frompyfunc(lambda text: text if isinstance(text, bytes) else text.encode(), 1, 1)(array))
    array = np.asarray(value)
    if not array.size:  # JSON has lost the axes after an empty one
        rest = (info.shape or ())[array.ndim :]
        return np.empty((*array.shape, *(size or 0 for size in rest)), info.numpy_dtype)
    if array.dtype.kind not in _KINDS[info.numpy_dtype.kind]:
        raise TypeError(f"{excerpt(str(value))} came, expected {info.dtype}")
    fitted = array.astype(info.numpy_dtype)
    if info.numpy_dtype.kind != "f" and not (fitted == array).all():
        raise ValueError(f"values beyond {info.dtype} came")
    return fitted
