"""Times answers for raw rows against scikit-learn's pipeline, and the reading of wide tables.

Times are the processor's. The baseline answers as the project did before its preprocessing was
compiled: each category through the reader of cells, a frame, scikit-learn's ColumnTransformer, then
the same network.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from meddistill.data.cohort import Cohort
from meddistill.data.datamodule import CohortDataModule
from meddistill.data.split import split_cohort
from meddistill.data.tables.blocks import read_each
from meddistill.data.tables.table import table
from meddistill.inference.card import Card
from meddistill.inference.network import MeanOfProbabilities, NetworkModel
from meddistill.models.mlp import MLP

TABLES = {"20 numbers, 8 categories": (20, 8), "30 numbers": (30, 0)}
MANY, SINGLE, WIDE_ROWS = 100_000, 100, 120


def made(rows: int, numbers: int, categories: int, seed: int = 0) -> pd.DataFrame:
    """A table in which a quarter of the columns have a tenth of their cells empty."""
    random = np.random.default_rng(seed)
    frame: dict[str, object] = {}
    for place in range(numbers + categories):
        words = [f"word{k}" for k in range(3 + place % 8)]
        cells = pd.Series(random.normal(50, 10, rows).round(4))
        if place >= numbers:
            cells = pd.Series(random.choice(words, rows))
        empty = random.random(rows) < (0 if place % 4 else 0.1)
        frame[f"column{place}"] = cells.mask(pd.Series(empty))
    return pd.DataFrame(frame)


def written(frame: pd.DataFrame, folder: Path) -> str:
    """The path of a CSV file of it, with a target."""
    path = folder / f"{frame.shape[1]}.csv"
    ill = pd.Series(np.arange(len(frame)) % 3 == 0, name="ill")
    pd.concat([frame, ill], axis=1).to_csv(path, index=False)
    return str(path)


def trained(cohort: Cohort) -> tuple[NetworkModel, ColumnTransformer]:
    """A model with untrained weights, and scikit-learn's preprocessing of its training rows."""
    data = CohortDataModule(cohort, split_cohort(cohort))
    torch.manual_seed(0)
    network = MeanOfProbabilities([MLP(data.in_shape, 2, width=32)])
    imputer = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
    words = SimpleImputer(strategy="constant", fill_value="", keep_empty_features=True)
    encoder = OneHotEncoder(
        handle_unknown="infrequent_if_exist", max_categories=50, sparse_output=False
    )
    parts = [
        ("numbers", make_pipeline(imputer, StandardScaler()), list(cohort.records.schema.numeric)),
        ("categories", make_pipeline(words, encoder), list(cohort.records.schema.categorical)),
    ]
    transformer = ColumnTransformer([part for part in parts if part[2]])
    transformer.fit(cohort.records.frame.iloc[data.split.train])
    return NetworkModel(Card.of({}, [], data), network, data.preprocessing), transformer


def by_scikit_learn(
    model: NetworkModel, transformer: ColumnTransformer, rows: pd.DataFrame
) -> pd.DataFrame:
    """What `Model.predict_proba` answers, the former way."""
    schema = model.preprocessing.schema
    prepared = {column: rows[column].to_numpy(dtype=np.float64) for column in schema.numeric}
    for column in schema.categorical:
        cells = read_each(rows[column].tolist(), partial(schema.category, column))
        prepared[column] = np.array(cells, dtype=object)
    frame = pd.DataFrame(prepared, index=rows.index)
    inputs = transformer.transform(frame).astype(np.float32)
    return pd.DataFrame(np.exp(model.answer(inputs)), index=rows.index)


def medians(ways: list[Callable[[], object]], rounds: int) -> list[str]:
    """Milliseconds of each way, taken in turn, and the median ratio of the first to the second."""
    times = []
    for _ in range(rounds):
        times.append([])
        for way in ways:
            start = time.process_time()
            way()
            times[-1].append(1e3 * (time.process_time() - start))
    middle = [statistics.median(each) for each in zip(*times, strict=True)]
    ratio = statistics.median(first / second for first, second in times)
    return [*(f"{value:.3g}" for value in middle), f"{ratio:.1f}"]


def predict(repeats: int) -> None:
    """Print what 100,000 raw rows and one row take."""
    torch.set_num_threads(1)
    print("| table | rows | scikit-learn's pipeline, ms | predict_proba, ms | ratio |")
    print("|---|---|---|---|---|")
    for name, (numbers, categories) in TABLES.items():
        with tempfile.TemporaryDirectory() as folder:
            path = written(made(1_000, numbers, categories), Path(folder))
            model, transformer = trained(table(path, "ill"))
        rows = made(MANY, numbers, categories, seed=1)
        for part, rounds in ((rows, repeats), (rows.iloc[[5]], SINGLE * repeats)):
            ways = [partial(by_scikit_learn, model, transformer, part),
                    partial(model.predict_proba, part)]  # fmt: skip
            former, now = (way().to_numpy() for way in ways)
            if not np.array_equal(former, now):
                raise SystemExit(f"{name}: answers differ by up to {abs(former - now).max()}")
            print(f"| {name} | {len(part):,} | {' | '.join(medians(ways, rounds))} |")


def wide(repeats: int) -> None:
    """Print what reading and preprocessing a table takes, by width."""
    print("| columns | seconds | microseconds a cell |\n|---|---|---|")
    taken: dict[int, list[float]] = {300: [], 3_000: []}
    with tempfile.TemporaryDirectory() as folder:
        frames = [made(WIDE_ROWS, width - width // 10, width // 10) for width in taken]
        paths = [written(frame, Path(folder)) for frame in frames]
        for number in range(repeats + 1):
            for seconds, path in zip(taken.values(), paths, strict=True):
                start = time.process_time()
                cohort = table(path, "ill")
                CohortDataModule(cohort, split_cohort(cohort))
                if number:  # the first round imports
                    seconds.append(time.process_time() - start)
    for width, seconds in taken.items():
        middle = statistics.median(seconds)
        print(f"| {width:,} | {middle:.2f} | {1e6 * middle / width / WIDE_ROWS:.1f} |")
