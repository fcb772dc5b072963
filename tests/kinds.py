"""Small made rows of every kind, by what a component reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.utils import get_class

from made_pictures import save_folder, save_npz
from made_series import save_long, save_series
from meddistill.config.confdir import conf_dir

SHAPES = {"vector": (7,), "image": (1, 16, 16), "series": (3, 9, 5), "bands": (7, 6)}
"""Of a row's inputs, by layout."""
ROWS = {"image": save_npz, "series": save_series}
"""By layout: what saves rows of it in a folder, and says so on the command line."""
LAYOUTS = {"images": "image", "series": "series", "tables": "vector"}
"""That of a kind of rows, unless a preprocessing makes another."""
SOURCES = {
    "image_npz": save_npz, "image_folder": save_folder,
    "series_npz": save_series, "series_table": save_long,
}  # fmt: skip
"""The same by the name of a data source."""
STUDENTS = {"vector": "mlp_tiny", "image": "cnn_tiny", "series": "gru_small",
            "bands": "scorecard"}  # fmt: skip
"""One that reads rows of a layout."""


def layout_of(network: Mapping[str, Any]) -> str:
    """What the network of a config node reads."""
    return str(getattr(get_class(network["_target_"]), "reads", "vector"))


def classes_of(layout: str) -> tuple[int, ...]:
    """Numbers of classes that networks of a layout take."""
    return (2,) if layout == "bands" else (2, 3)


def rows_for(layout: str, folder: Path) -> list[str]:
    """What a command line says to read made rows of such a layout, and a student that does."""
    if layout == "vector":
        return []
    return [*ROWS[layout](folder), f"student={STUDENTS[layout]}"]


def layout_of_teacher(name: str) -> str:
    """What a teacher of conf/teacher reads; of several the first of them."""
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        node = compose("distill", [f"teacher={name}"]).teacher
    node = next(iter(node["of"].values())) if "of" in node else node
    return layout_of(node["network"]) if node.get("network") else "vector"


def save_gmt(folder: Path, columns: Sequence[str]) -> str:
    """A file of two gene sets that halve columns."""
    half = len(columns) // 2
    halves = {"ONE": columns[:half], "TWO": columns[half:]}
    path = folder / "sets.gmt"
    lines = ["\t".join([name, "made", *own]) for name, own in halves.items()]
    path.write_text("\n".join(lines))
    return str(path)
