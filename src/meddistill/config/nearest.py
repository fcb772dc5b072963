"""What to say of a name that nothing reads: the nearest one that something does."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

FROM_THE_RUN = ("in_shape", "num_classes", "params", "optimizer", "save_dir")
"""Arguments that are no settings; messages leave them out."""


def no_such(key: str, known: Iterable[str]) -> str:
    """What to say of an unknown key."""
    close = nearest(key, known)
    return f"no such setting; did you mean {close}?" if close else "no such setting"


def not_taken(name: str, taken: Iterable[str]) -> str:
    """What to say of a key that its node's target does not take."""
    own = [each for each in taken if each not in FROM_THE_RUN]
    close = nearest(name, own)
    there = f"there are {', '.join(own)}" if own else "there are none"
    return f"no such setting; did you mean {close}?" if close else f"no such setting; {there}"


def nearest(key: str, known: Iterable[str]) -> str | None:
    """The known key that `key` is most like: beside it, else anywhere by its last name."""
    parent, _, last = key.rpartition(".")
    split = [(each.rpartition("."), each) for each in known]
    beside = {name: each for (above, _, name), each in split if above == parent}
    anywhere = {name: each for (_, _, name), each in reversed(split)}
    for names, cutoff in ((beside, 0.6), (anywhere, 0.75)):
        if close := difflib.get_close_matches(last, list(names), n=1, cutoff=cutoff):
            return names[close[0]]
    return None
