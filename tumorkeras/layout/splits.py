"""Parts that the data come with, kept as they are."""

from __future__ import annotations

from tumorkeras.layout.guess import Guess

# For data with two parts: a validation part that is there is kept, else one is cut out of the training part.
FRACTIONS = {"train": 0.85, "val": 0.15, "test": 0}


def keep_parts(guess: Guess, given: dict[str, str]) -> None:
    """Write the data's own parts into the section splits; nothing where there is no training part beside another.

    Parameters
    ----------
    guess : Guess
        Changed in place.
    given : dict of str to str
        What each part of the data becomes: {"valid": "val"}.
    """
    parts = set(given.values())
    if "train" not in parts or len(parts) < 2:
        return
    splits = guess.values.setdefault("splits", {})
    splits["given"] = given
    guess.say("splits.given", f"The data come with the parts {', '.join(given)}, which are kept.")
    if parts == {"train", "val"}:
        own = next(name for name, part in given.items() if part == "val")
        guess.say(
            "splits.given",
            f"There is no test part: {own} stops the training and is read, too, which flatters a little. Stricter is "
            f"{own}: test, for which a val part is cut out of the training part.",
        )
    if len(parts) == 2:
        splits["fractions"] = dict(FRACTIONS)
        cut = "No test part is cut out of the training part." if "val" in parts else "val is cut out of train."
        guess.say("splits.fractions", cut)
