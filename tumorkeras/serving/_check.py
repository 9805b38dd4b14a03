"""Run the signatures of a SavedModel with TensorFlow alone; ``verify`` starts this file in a new process.

``python -P _check.py FOLDER`` reads ``FOLDER/plan.json`` and ``FOLDER/inputs.npz`` and writes
``FOLDER/results.json`` and ``FOLDER/outputs.npz``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

#: What a server does not have. TensorFlow itself would load Keras where it finds it.
ABSENT = ("keras", "tf_keras", "keras_cv", "tumorkeras")


def check(folder: Path) -> None:
    """Run every planned batch and write what came out, or the error that came instead."""
    import numpy as np
    import tensorflow as tf

    plan = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
    signatures = tf.saved_model.load(plan["export"]).signatures
    results: list[dict[str, object]] = []
    arrays: dict[str, np.ndarray] = {}
    with np.load(folder / "inputs.npz", allow_pickle=False) as inputs:
        for number, run in enumerate(plan["runs"]):
            given = {name: tf.constant(inputs[key]) for name, key in run["inputs"].items()}
            try:
                outputs = signatures[run["signature"]](**given)
            except (tf.errors.OpError, TypeError, ValueError) as error:
                results.append({"error": f"{type(error).__name__}: {error}"})
                continue
            arrays.update({f"{number}/{name}": value.numpy() for name, value in outputs.items()})
            results.append({"outputs": {name: f"{number}/{name}" for name in outputs}})
    np.savez(folder / "outputs.npz", **arrays)  # type: ignore[arg-type]
    (folder / "results.json").write_text(json.dumps(results), encoding="utf-8")


if __name__ == "__main__":
    # None in this place makes every import of the name fail, so what runs here runs where none is installed.
    sys.modules.update(dict.fromkeys(ABSENT))  # type: ignore[arg-type]
    check(Path(sys.argv[1]))
