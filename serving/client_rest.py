"""A table of what a served model finds in image files, over REST.

Needs nothing but ``pip install pandas requests``; paste it and change it::

    python client_rest.py --server http://localhost:8501 --model tumours scans/*.png > found.csv
"""

from __future__ import annotations

import argparse
import base64
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

AT_ONCE = 8  # most files in a request: the server's max_batch_size


def connect(retries: int) -> requests.Session:
    """A session that asks again where the server cannot be reached or is busy, never where it refuses."""
    session = requests.Session()
    policy = Retry(
        retries,
        read=0,
        allowed_methods=None,  # a prediction changes nothing, so a POST may be repeated
        status_forcelist=(502, 503, 504),
        backoff_factor=0.2,
        raise_on_status=False,
    )
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=policy))
    return session


def ask(session: requests.Session, url: str, files: Sequence[Path], timeout: float) -> dict[str, Any]:
    """The outputs for some PNG or JPEG files, a list with an entry a file under each name."""
    images = [{"b64": base64.b64encode(file.read_bytes()).decode()} for file in files]
    body: dict[str, Any] = {"signature_name": "serving_bytes", "inputs": {"image_bytes": images}}
    try:
        response = session.post(url, json=body, timeout=timeout)
    except requests.RequestException as error:
        sys.exit(f"{url}: no answer: {error}")
    try:
        answer = response.json()
    except ValueError:
        sys.exit(
            f"{url}: no JSON came (status {response.status_code}): {response.text[:200]!r}; is this the REST port?"
        )
    if not response.ok:
        sys.exit(f"{url}: the server refused (status {response.status_code}): {answer.get('error', answer)}")
    return answer["outputs"]


def as_table(files: Sequence[Path], outputs: Mapping[str, Any]) -> pd.DataFrame:
    """A row a detection, or a row a file; status "error" where the server could not decode the file."""
    rows = []
    for number, file in enumerate(files):
        own = {name: values[number] for name, values in outputs.items()}
        row = {"path": str(file), "status": "error" if own["status"] else "ok"}
        if own["status"]:
            rows.append(row)
        elif "boxes" in own:
            names = own.get("class_name", own["classes"])
            found = [
                {**row, "class": names[k], "score": own["scores"][k]}
                | dict(zip(("xmin", "ymin", "xmax", "ymax"), own["boxes"][k], strict=True))
                for k in range(int(own["num_detections"]))
            ]
            rows += found or [row]
        else:
            row |= {name: own[name] for name in ("class_id", "class_name", "reconstruction_error") if name in own}
            rows.append(row | {f"probability_{k}": p for k, p in enumerate(own.get("probabilities", ()))})
    return pd.DataFrame(rows).convert_dtypes()


def main() -> None:
    """Read the command line, ask, write CSV to standard output."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, help="PNG or JPEG")
    parser.add_argument("--server", default="http://localhost:8501")
    parser.add_argument("--model", required=True, help="NAME, or NAME/versions/N")
    parser.add_argument("--timeout", type=float, default=10, help="seconds that an answer may take")
    parser.add_argument("--retries", type=int, default=3)
    options = parser.parse_args()
    if missing := [str(file) for file in options.files if not file.is_file()]:
        sys.exit(f"there is no file {', '.join(missing)}")
    url = f"{options.server}/v1/models/{options.model}:predict"
    tables = []
    with connect(options.retries) as session:
        for start in range(0, len(options.files), AT_ONCE):
            files = options.files[start : start + AT_ONCE]
            tables.append(as_table(files, ask(session, url, files, options.timeout)))
    pd.concat(tables).to_csv(sys.stdout, index=False)


if __name__ == "__main__":
    main()
