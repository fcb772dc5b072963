"""Small pictures made for tests: a bright square in one corner or the other is the diagnosis."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ("healthy", "sick")


def pictures(count: int, side: int = 12, channels: int | None = None, seed: int = 0):
    """[count, side, side] or [count, side, side, channels] bytes, and [count] labels 0 and 1."""
    random = np.random.default_rng(seed)
    shape = (count, side, side) if channels is None else (count, side, side, channels)
    made = random.integers(0, 120, shape, dtype=np.uint8)
    labels = np.arange(count) % 2
    half = side // 2
    made[labels == 0, :half, :half] += 100
    made[labels == 1, half:, half:] += 100
    return made, labels


def npz(path: Path, sizes=(24, 12, 12), **settings) -> Path:
    """A file in MedMNIST's layout."""
    arrays = {}
    for seed, (part, count) in enumerate(zip(("train", "val", "test"), sizes, strict=True)):
        images, labels = pictures(count, seed=seed, **settings)
        arrays |= {f"{part}_images": images, f"{part}_labels": labels[:, None].astype(np.uint8)}
    np.savez(path, **arrays)
    return path


def folder(path: Path, count: int = 12, **settings) -> Path:
    """A folder a class, of PNG files."""
    for number, (image, label) in enumerate(zip(*pictures(count, **settings), strict=True)):
        place = path / CLASSES[label]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(place / f"{number:03d}.png")
    return path


def save_npz(place: Path) -> list[str]:
    """A file in MedMNIST's layout: what a command line says to read it."""
    path = npz(place / "pictures.npz", (40, 20, 20))
    return ["data=image_npz", f"data.path={path}", "data.classes=[healthy,sick]"]


def save_folder(place: Path) -> list[str]:
    """A folder of classes: what a command line says to read it."""
    return ["data=image_folder", f"data.path={folder(place / 'pictures', 40)}"]
