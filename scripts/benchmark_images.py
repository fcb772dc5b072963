"""Times training on images against a plain PyTorch loop, and streams more than memory should hold.

    python scripts/benchmark_images.py train
    python scripts/benchmark_images.py stream --images 100000 --workers 1 --accelerator cpu

`train`: the ResNet of teacher=resnet_image on made grey pictures of 28 pixels, in memory, batch 64.
Both take the same steps and answer the validation rows after each epoch; the trainer also measures
them, keeps the best epoch and writes its state. They take turns in one process, and the ratio of
their images a second is the median over the turns.

`stream`: one epoch of the small CNN over made pictures of 224 pixels that lie in files (JPEG), read
by workers batch by batch. Said is the largest memory of the process and its workers, beside what
the pictures would take.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F

from meddistill.config.compose import build_network
from meddistill.data.cohort import Cohort, number_rows
from meddistill.data.datamodule import CohortDataModule
from meddistill.data.images.folder import image_folder
from meddistill.data.images.records import ImageRecords
from meddistill.data.split import split_cohort
from meddistill.training.classifier import Classifier
from meddistill.training.fit import fit

RESNET = {"_target_": "meddistill.models.resnet_image.ResNetImage"}
CNN = {"_target_": "meddistill.models.cnn.CNN"}
BATCH, RATE = 64, 1e-3


def made_cohort(count: int, side: int) -> Cohort:
    """Noise with a bright square in half of the pictures."""
    random = np.random.default_rng(0)
    target = np.arange(count) % 2
    pixels = random.integers(0, 200, (count, 1, side, side), dtype=np.uint8)
    pixels[target == 1, :, : side // 4, : side // 4] += 40
    return Cohort("made", ImageRecords.of(pixels), target, ("dark", "bright"), number_rows(count))


def adam(parameters: Any) -> torch.optim.Optimizer:
    """The default optimizer."""
    return torch.optim.Adam(parameters, lr=RATE, fused=True)


def by_trainer(data: CohortDataModule, epochs: int, accelerator: str = "cpu") -> float:
    """Images a second of this project's way."""
    network = build_network(RESNET, "network", data.in_shape, data.num_classes, 0)
    settings = {"accelerator": accelerator, "devices": 1, "max_epochs": epochs}
    settings |= {"enable_progress_bar": False, "num_sanity_val_steps": 0}
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        fit(Classifier(network, data.num_classes, adam), data, Path(folder), settings)
        return epochs * len(data.train_rows) / (time.perf_counter() - started)


def by_loop(data: CohortDataModule, epochs: int, device: str = "cpu") -> float:
    """Images a second of a loop that trains, and answers the validation rows."""
    network: nn.Module = build_network(RESNET, "network", data.in_shape, data.num_classes, 0)
    network.to(device)
    optimizer = adam(network.parameters())
    train = torch.from_numpy(data.train_rows)
    pixels, target = data.rows.inputs[train].to(device), data.rows.target[train].to(device)
    held = data.rows.inputs[torch.from_numpy(data.labelled_validation)].to(device)
    mean, scale = float(pixels.float().mean() / 255), float(pixels.float().std() / 255)
    started = time.perf_counter()
    for epoch in range(epochs):
        network.train()
        order = torch.randperm(len(train), generator=torch.Generator().manual_seed(epoch))
        for rows in order.to(device).split(BATCH):
            inputs = (pixels[rows].float() / 255 - mean) / scale
            loss = F.cross_entropy(network(inputs), target[rows])
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
        with torch.no_grad():
            network.eval()((held.float() / 255 - mean) / scale)
    if device != "cpu":
        torch.cuda.synchronize()
    return epochs * len(train) / (time.perf_counter() - started)


def compare(count: int, epochs: int, turns: int, accelerator: str = "cpu") -> tuple[float, float]:
    """Images a second of the trainer, and the median of its share of the loop's."""
    cohort = made_cohort(count, 28)
    data = CohortDataModule(cohort, split_cohort(cohort), batch_size=BATCH)
    device = "cpu" if accelerator == "cpu" else "cuda"
    by_loop(data, 1, device)  # torch's own first time
    pairs = [(by_trainer(data, epochs, accelerator), by_loop(data, epochs, device))
             for _ in range(turns)]  # fmt: skip
    shares = [ours / plain for ours, plain in pairs]
    return statistics.median(ours for ours, _ in pairs), statistics.median(shares)


def make_file(folder: Path, number: int, side: int) -> None:
    """A picture like no other, in the folder of its class."""
    background = np.random.default_rng(number % 64).integers(0, 200, (side // 8, side // 8))
    picture = np.kron(background.astype(np.uint8), np.ones((8, 8), dtype=np.uint8))
    label = ("dark", "bright")[number % 2]
    picture[:56, :56] += 40 * (number % 2)
    picture[number // side % side, number % side] = number % 251
    picture[number % 97, number // 97 % side] = number // 251 % 251
    Image.fromarray(picture).save(folder / label / f"{number:06d}.jpg", quality=50)


def make_files(folder: Path, count: int, side: int, workers: int) -> None:
    """Pictures in two folders, one a class."""
    for label in ("bright", "dark"):
        (folder / label).mkdir(parents=True)
    with ProcessPoolExecutor(workers) as pool:
        make = partial(make_file, folder, side=side)
        for _ in pool.map(make, range(count), chunksize=1000):
            pass


def stream(count: int, side: int, workers: int, accelerator: str) -> None:
    """One epoch over files."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "pictures"
        make_files(folder, count, side, workers)
        started = time.perf_counter()
        cohort = image_folder(str(folder), in_memory=False, workers=workers)
        read = time.perf_counter() - started
        data = CohortDataModule(cohort, split_cohort(cohort))
        network = build_network(CNN, "network", data.in_shape, data.num_classes, 0)
        settings = {"accelerator": accelerator, "devices": 1, "max_epochs": 1}
        settings |= {"enable_progress_bar": False, "num_sanity_val_steps": 0}
        started = time.perf_counter()
        fit(Classifier(network, data.num_classes, adam), data, Path(place) / "run", settings)
        took = time.perf_counter() - started
    own, theirs = (resource.getrusage(who).ru_maxrss / 1024 for who in
                   (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))  # fmt: skip
    print(
        f"{count:,} pictures of {side} pixels ({count * side * side / 2**20:,.0f} MiB): checked "
        f"and hashed in {read:.0f} s, one epoch in {took:.0f} s ({count / took:.0f} a second); "
        f"largest memory {own:,.0f} MiB, of a worker {theirs:,.0f} MiB"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Time what is named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=("train", "stream"))
    parser.add_argument("--images", type=int, default=None)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--accelerator", choices=("cpu", "gpu"), default="cpu")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    if given.what == "stream":
        stream(given.images or 100_000, 224, given.workers, given.accelerator)
        return
    rate, share = compare(given.images or 2000, 2, given.turns, given.accelerator)
    print(f"the trainer trains on {rate:,.0f} images a second, {share:.2f} of the plain loop")


if __name__ == "__main__":
    main()
