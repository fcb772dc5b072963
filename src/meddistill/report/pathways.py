"""The gene sets of a pathway network that differ most between the classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from meddistill.report.page import Cell, DataTable, Section
from meddistill.report.tables import Table

TITLE = "Gene sets"
CAPTION = "The sets whose activations differ most between the classes"


def pathways_table(found: Mapping[str, Any], classes: Sequence[str]) -> Table:
    """The sets in a terminal and as Markdown."""
    rows = [[each["set"], *(text for text, _ in _numbers(each))] for each in found["top"]]
    return Table(CAPTION, _heads(classes), rows, _notes(found, classes))


def pathways_section(found: Mapping[str, Any], classes: Sequence[str]) -> Section:
    """The sets as a table of the page."""
    rows: list[list[Cell]] = [[each["set"], *_numbers(each)] for each in found["top"]]
    return Section(TITLE, [DataTable(_heads(classes), rows, _notes(found, classes), CAPTION)])


def _heads(classes: Sequence[str]) -> list[str]:
    return ["set", "layer", "between classes", *(f"mean, {name}" for name in classes)]


def _numbers(each: Mapping[str, Any]) -> list[tuple[str, float]]:
    share, means = each["share"], each["means"]
    return [
        (str(each["layer"]), float(each["layer"])),
        (f"{share:.0%}", share),
        *((f"{mean:+.2f}", mean) for mean in means),
    ]


def _notes(found: Mapping[str, Any], classes: Sequence[str]) -> list[str]:
    """What the numbers are, and what chance alone would make of them."""
    rows, sizes = found["tested"], " and ".join(f"{size:,}" for size in found["sets"])
    chance = min(1.0, (len(classes) - 1) / max(1, rows - 1))
    return [
        f"Of {sizes} sets, by the share of their activations' variance that lies between the "
        f"classes, on {rows:,} test rows. Of a set that has nothing to do with the classes it is "
        f"{chance:.0%} on average, and the largest of many such sets is far above that. "
        "Activations are from -1 to 1; their sign says nothing by itself."
    ]
