"""What a kill, a bad disk or a stranger's hand makes of a file."""

from __future__ import annotations

import pickle
from pathlib import Path


class Evil:
    def __reduce__(self):
        return Path.touch, (Path("touched"),)


def flipped(content: bytes) -> bytes:
    changed = bytearray(content)
    changed[len(changed) // 2] ^= 1
    return bytes(changed)


DAMAGES = {
    "empty": lambda _: b"",
    "cut": lambda content: content[: len(content) // 2],
    "zeros": lambda content: bytes(len(content)),
    "flipped": flipped,
    "pickle": lambda _: pickle.dumps(Evil()),
    "text": lambda _: b"[]",
}


def damage(path: Path, kind: str) -> None:
    path.write_bytes(DAMAGES[kind](path.read_bytes()))
