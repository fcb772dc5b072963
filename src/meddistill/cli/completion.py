"""Completion in a shell: verbs are ours, what follows one is Hydra's."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from meddistill.config.confdir import FOLDER_VERBS, VERBS

FLAGS = ("-sc", "--shell-completion", "--hydra-help")
"""What the whole program is asked, not a verb."""
WITH_VALUE = ("--config-dir", "-cd")


def asked(arguments: Sequence[str], launch: Callable[[str], int]) -> int:
    """Install completion, or answer what the shell asks; the exit code.

    Args:
        arguments: Of the command line, the first one of `FLAGS`.
        launch: Runs a verb's Hydra app on `sys.argv`.
    """
    if not any(each.startswith("query=") for each in arguments):
        return _launched(launch, next(iter(VERBS)), arguments)
    words = os.environ.get("COMP_LINE", "").split(" ")[1:]
    verb, following = (words or [""])[0], words[1:]
    if not following:
        print(" ".join([*VERBS, *FOLDER_VERBS]))  # the shell keeps those that begin as the word
    elif verb in VERBS:
        kept, flags = _without_flags(following)
        os.environ["COMP_LINE"] = " ".join(["meddistill", *kept])
        return _launched(launch, verb, [*flags, *arguments])
    return 0


def own_folders(arguments: Sequence[str]) -> list[Path]:
    """Folders of configs that the arguments name."""
    split = [each.partition("=") for each in arguments]
    following = [*arguments[1:], ""]
    pairs = zip(split, following, strict=True)
    named = [value or after for (key, _, value), after in pairs if key in WITH_VALUE]
    return [Path(name) for name in named if name]


def _launched(launch: Callable[[str], int], verb: str, arguments: Sequence[str]) -> int:
    sys.argv = [sys.argv[0], verb, *arguments]
    return launch(verb)


def _without_flags(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The overrides, which Hydra completes, and the flags that say where configs lie."""
    kept, flags = [], []
    each = iter(words)
    for word in each:
        if word in WITH_VALUE:
            flags += [word, next(each, "")]
        elif not word.startswith("-"):
            kept.append(word)
    return kept, flags
