"""How long does the Mistakes page take with 10,000 images, beside 500? Run: python benchmarks/mistakes.py

Both pages run in the same process, in turn, in Streamlit's test harness: reading the address, the predictions that
are kept in memory after the first time, choosing, ordering, and encoding the 24 pictures. Medians of processor time,
which a busy machine does not stretch.
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

GOAL = 0.5  # seconds
APP = Path(__file__).resolve().parent.parent / "app"


def write_run(name: str, images: int, classes: int = 200) -> None:
    """A dataset of noise and a run whose predictions are about half right; no network is asked."""
    from tinymodel.config import TrainConfig
    from tinymodel.data.prepared import ClassInfo, PreparedWriter
    from tinymodel.evaluation import write_predictions
    from tinymodel.run_writer import RunWriter
    from tinymodel.runs import describe_classes, to_ranges

    generator = np.random.default_rng(0)
    labels = np.sort(np.arange(images) % classes)
    infos = [ClassInfo(f"n{label:08d}", f"class {label}") for label in range(classes)]
    writing = dict(kind="folder", classes=infos, fingerprint=name, capacity=images + classes)
    with PreparedWriter(name, **writing) as writer:
        noise = generator.integers(0, 256, (classes, 64, 64, 3), dtype=np.uint8)
        box = dict(x0=None, y0=None, x1=None, y1=None)
        rows = [dict(split="train", label=n, source=f"{n}", **box) for n in range(classes)]
        writer.add(noise, rows)
        for label in range(classes):
            mine = int((labels == label).sum())
            rows = [dict(split="val", label=label, source=f"{label}/{i}", **box) for i in range(mine)]  # fmt: skip
            writer.add(np.repeat(noise[label][None], mine, 0), rows)
    indices = np.arange(classes, classes + images)
    info = dict(
        config=TrainConfig(dataset=name, epochs=1, width=4).to_json(),
        model=dict(classes=classes, width=4), classes=describe_classes(infos), mean=[0.5] * 3, std=[0.25] * 3,
        fingerprint=name, train_indices=to_ranges(np.arange(classes)), val_indices=to_ranges(indices),
        train_images=classes, val_images=images, steps_per_epoch=1, device="cpu", precision="fp32",
    )  # fmt: skip
    run = RunWriter.create(info, name)
    run.update(status="finished")
    run.close()
    logits = generator.normal(size=(images, classes)) * 2
    logits[np.arange(images), labels] += 6
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    top = np.argsort(-probabilities, 1)[:, :5]
    best = np.take_along_axis(probabilities, top, 1)
    true = probabilities[np.arange(images), labels]
    table = dict(
        index=indices, label=labels, prediction=top[:, 0], confidence=best[:, 0], true_probability=true,
        loss=-np.log(true), top5=list(top), top5_probabilities=list(best),
    )  # fmt: skip
    (run.folder / "best.pt").write_bytes(b"never read")
    write_predictions(run.folder, pd.DataFrame(table))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= dict(TINYMODEL_DATA=f"{folder}/data", TINYMODEL_RUNS=f"{folder}/runs")
        from streamlit.testing.v1 import AppTest

        sizes = (500, 10_000)
        for images in sizes:
            write_run(f"images-{images}", images)
        app = AppTest.from_file(str(APP / "frame.py"), default_timeout=120).run()
        app.switch_page("views/mistakes.py")
        seconds: dict[int, list[tuple[float, float]]] = {images: [] for images in sizes}
        for turn in range(arguments.repeats + 1):
            for images, times in seconds.items():
                app.query_params["run"] = f"images-{images}"
                app.query_params["page"] = str(turn + 1)
                wall, busy = time.perf_counter(), time.process_time()
                app.run()
                times.append((time.perf_counter() - wall, time.process_time() - busy))
                assert not app.exception
                assert app.get("bidi_component"), "the page shows no pictures"
    medians = {}
    print(f"{'images':>7}  {'median':>8}  {'of the processor':>16}  {'when first opened':>17}")
    for images, times in seconds.items():
        wall, busy = (statistics.median(column) for column in zip(*times[1:], strict=True))
        medians[images] = busy
        print(f"{images:>7,}  {wall:>6.3f} s  {busy:>14.3f} s  {times[0][1]:>15.3f} s")
    print(f"10,000 images take {medians[10_000] / medians[500]:.2f} times as long as 500", end="; ")
    print(f"the goal of {GOAL} s is {'met' if medians[10_000] < GOAL else 'missed'}")


if __name__ == "__main__":
    main()
