"""How the numbers of a column are written: found where it is sure, else a doubt that says so."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from meddistill.data.tables.cells import NUMBER, Notation, folded
from meddistill.data.tables.findings import AS_CATEGORIES, Doubt
from meddistill.errors import shown

SHAPE = re.compile(
    r"(?P<bound>[<>≤≥]=?\s*)?"
    r"(?P<number>[+\-\u2212]?(?:[0-9][0-9.,'\u2019\u00a0\u202f ]*|[.,][0-9]+)(?:e[+-]?[0-9]+)?)"
    r"\s*(?P<unit>(?:[^\W\d_]|[%\u2030\u00b0/]).*)?",
    re.IGNORECASE,
)
UNITS = frozenset([
    "%", "‰", "kg", "g", "mg", "µg", "μg", "ug", "mcg", "ng", "pg", "lb", "lbs", "st", "oz", "t",
    "m", "cm", "mm", "µm", "μm", "km", "in", "inch", "inches", "ft", "ml", "dl", "cl", "l", "ul",
    "µl", "μl", "fl", "iu", "u", "mmhg", "kpa", "pa", "bpm", "/min", "rpm", "°c", "°f", "c", "f",
    "k", "s", "sec", "min", "mins", "h", "hr", "hrs", "hour", "hours", "d", "day", "days", "w",
    "week", "weeks", "wk", "wks", "month", "months", "mo", "y", "yr", "yrs", "year", "years",
    "kcal", "cal", "kj", "w", "hz", "khz", "mhz", "mol", "mmol", "µmol", "umol", "μmol", "nmol",
    "pmol", "meq", "mosm", "mv", "v", "pack-years", "packs", "€", "$", "£", "eur", "usd",
])  # fmt: skip
PER = re.compile(r"[/*·]|\bper\b")
POINT = re.compile(r"[+-]?(?:0\.[0-9]+|[0-9]+\.(?:[0-9]{1,2}|[0-9]{4,}))")
"""A number whose point can only be a decimal mark."""


THREE_DIGITS = Doubt(
    "a mark before three digits, which may be between thousands or a decimal one",
    f"set data.thousands=\"','\" or data.decimal=\"','\", whichever it is, or {AS_CATEGORIES}",
)
DECIMAL_COMMA = Doubt("a decimal comma", f"set data.decimal=\"','\", or {AS_CATEGORIES}")
UNITS_MIXED = Doubt(
    "numbers with different units, or with one in some cells alone",
    f"write all in one unit, or {AS_CATEGORIES}",
)


FEWEST_MEASURED = 5
"""Different numbers without a bound that a measurement has, though most of its cells have one."""


def find_notation(
    texts: Mapping[str, int], given: Notation, points: bool
) -> Notation | Doubt | None:
    """The one notation that reads all cells of a column, or None where they are not numbers.

    Where most cells look like measurements, it is theirs: what the others are is asked about.

    Args:
        texts: Different cells as text, and how often each stands in the column.
        given: The decimal mark and the mark of thousands that the user set.
        points: Whether another column has numbers with a decimal point.
    """
    shapes = {text: SHAPE.fullmatch(text) for text in texts}
    found = [shape for shape in shapes.values() if shape]
    if len(found) < len(texts):
        shaped = {text: texts[text] for text, shape in shapes.items() if shape}
        return _of_most(shaped, texts, given, points)
    units = {folded((shape["unit"] or "").strip()) for shape in found}
    if len(units) > 1:
        return UNITS_MIXED if all(_is_unit(unit) for unit in units if unit) else None
    bounded = [text for text, shape in shapes.items() if shape and shape["bound"]]
    most = 2 * sum(texts[text] for text in bounded) > sum(texts.values())
    if most and len(texts) - len(bounded) < FEWEST_MEASURED:
        return None  # brackets, such as <50 and >=50, no measurement that was mostly too small
    bodies = [shape["number"].strip() for shape in found]
    return _marks(bodies, given, units.pop(), bool(bounded), points)


def _of_most(
    shaped: Mapping[str, int], texts: Mapping[str, int], given: Notation, points: bool
) -> Notation | Doubt | None:
    """The notation of those cells that look like measurements, if these are most and no codes."""
    if len(shaped) < FEWEST_MEASURED or 2 * sum(shaped.values()) <= sum(texts.values()):
        return None
    found = find_notation(shaped, given, points)
    is_code = isinstance(found, Notation) and found.unit and not _is_unit(found.unit)
    return None if is_code else found


def _is_unit(unit: str) -> bool:
    return all(
        re.sub(r"[\^*]?-?[0-9]+$|[²³]$", "", part.strip()) in UNITS
        for part in PER.split(unit)
        if part
    )


def _marks(
    bodies: list[str], given: Notation, unit: str, bounds: bool, points: bool
) -> Notation | Doubt | None:
    """The marks that make numbers of all bodies, those that were given first."""

    def written(decimal: str, thousands: str) -> Notation | None:
        notation = Notation(decimal, thousands, unit, bounds)
        fits = Notation(decimal, thousands)
        return notation if all(NUMBER.fullmatch(fits.plain(body)) for body in bodies) else None

    if as_given := written(given.decimal, given.thousands):
        return as_given
    for mark in (" ", "'", "\u2019", "\u00a0", "\u202f"):
        if spaced := written(given.decimal, mark):
            return spaced
    other = "," if given.decimal == "." else "."
    if grouped := written(given.decimal, other):
        return (
            grouped if given.decimal == "," or points or _surely_grouped(bodies) else THREE_DIGITS
        )
    if given.decimal == ".":
        if comma := written(",", ""):
            return comma if points else DECIMAL_COMMA
        if written(",", "."):
            return DECIMAL_COMMA
    return None


def _surely_grouped(bodies: Iterable[str]) -> bool:
    return any(body.count(",") > 1 or "." in body for body in bodies)


def describe(notation: Notation, example: str) -> str:
    """What was done with the cells of a column, in words."""
    said = []
    if notation.unit:
        said.append(f"the unit {shown(notation.unit)} is cut off")
    if notation.bounds:
        said.append("a bound such as <5 is read as 5")
    if notation.thousands:
        said.append(f"{shown(notation.thousands)} stands between thousands")
    if notation.decimal != ".":
        said.append(f"{shown(notation.decimal)} is the decimal mark")
    return f"numbers as {shown(example)}: {', '.join(said)}"
