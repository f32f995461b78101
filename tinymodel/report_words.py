"""The sentences of a report: what the numbers of a run mean, said plainly."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tinymodel.errors import UserError
from tinymodel.evaluation import current_predictions, evaluate_run, run_dataset
from tinymodel.explain.findings import Estimate, share_of, wilson
from tinymodel.runs import Run
from tinymodel.scores import described, per_class

BY_HEART = 0.05  # training accuracy so far above validation is called overfitting
HONEST = 0.05  # confidence and accuracy no farther apart than this agree


@dataclass(frozen=True)
class Findings:
    """All that a report is about, read once: a run may go on meanwhile."""

    run: Run
    epochs: pd.DataFrame
    steps: pd.DataFrame
    answers: pd.DataFrame | None  # as `scores.described`; None if nobody can tell them any more
    images: np.ndarray | None  # uint8 (N, 64, 64, 3); None if the dataset is not here
    why_not: str  # the sentence about a dataset that is not here


def gather(run: Run, report: Callable[[float, str], None]) -> Findings:
    """Read the run; its answers are made now if they are missing and can be made."""
    epochs, steps = run.epochs(), run.steps()
    try:
        images, why_not = run_dataset(run).images, ""
    except UserError as error:
        images, why_not = None, str(error)
    answers = current_predictions(run)
    if answers is None and images is not None and run.has_weights:
        try:
            answers = described(evaluate_run(run, report))
        except (
            UserError
        ) as error:  # weights of another network: the tables are still worth a report
            why_not = str(error)
    return Findings(run, epochs, steps, answers, images, why_not)


def in_short(found: Findings) -> list[str]:
    """Three or four statements, each computed from the run."""
    statements = [how_often_right(found), easiest_and_hardest(found), by_heart(found)]
    done, told = len(found.epochs), found.run.config.epochs
    if done < told:
        statements.append(
            f"It learned for {done} of {told} epochs only: with the rest it might have become better."
        )
    else:
        statements.append(how_sure(found))
    return [text for text in statements if text]


def estimate(found: Findings) -> Estimate:
    """The accuracy of the best weights with its interval: from the answers, else from the table of epochs."""
    if found.answers is not None:
        return share_of(found.answers["right"])
    best = found.epochs["val_accuracy"].max()
    count = len(found.run.val_indices)
    if not count or not 0 <= best <= 1:
        return wilson(0, 0)
    return wilson(round(best * count), count)


def how_often_right(found: Findings) -> str:
    share, guessing = estimate(found), 1 / len(found.run.classes)
    if not share.count:
        return "It has not finished an epoch, so nobody knows yet how good it is."
    right = round(share.mean * share.count)
    text = (
        f"Of {share.count:,} pictures that it had never seen it named {right:,} correctly: it is right "
        f"{in_100(share.mean)}; guessing would be right {in_100(guessing)}."
    )
    if share.low <= guessing:
        return (
            f"{text} So few more than by guessing can be luck: it has learned next to nothing yet."
        )
    low, high = round(100 * share.low), round(100 * share.high)
    return f"{text} With other pictures of the same kind it would most likely be between {low} and {high} in 100."


def easiest_and_hardest(found: Findings) -> str:
    if found.answers is None:
        return ""
    table = per_class(found.answers, len(found.run.classes))
    table = table[table["images"] > 0]
    if len(table) < 2:
        return ""
    ordered = table.sort_values(["accuracy", "images"], kind="stable")
    worst, best = ordered.iloc[0], ordered.iloc[-1]
    if worst["accuracy"] == best["accuracy"]:
        return f"It is equally good at every class: {in_100(best['accuracy'])}."

    def name(label: float) -> str:
        return f"“{shorten(found.run.classes[int(label)].name)}”"

    text = (
        f"Easiest for it is {name(best['label'])} ({best['right']:.0f} of {best['images']:.0f} right), hardest is "
        f"{name(worst['label'])} ({worst['right']:.0f} of {worst['images']:.0f})"
    )
    if worst["mostly"] < 0:
        return f"{text}."
    return f"{text}, which it most often takes for {name(worst['mostly'])} ({times(worst['mostly_count'])})."


def by_heart(found: Findings) -> str:
    """How training and validation compare in the best epoch."""
    table = found.epochs.dropna(subset=["train_accuracy", "val_accuracy"])
    if table.empty:
        return ""
    best = table.loc[table["val_accuracy"].idxmax()]
    train, val = float(best["train_accuracy"]), float(best["val_accuracy"])
    text = f"In its best epoch, number {best['epoch']:.0f}, it was right {in_100(train)} on the pictures it practised with"
    if train - val > BY_HEART:
        return f"{text}, on new ones {in_100(val)}: it knows some of them by heart (overfitting)."
    if val - train > 0.02:
        return f"{text}, less often than on new ones: while it practises, they are changed at random (augmentation), which makes them harder."
    return f"{text}, about as often as on new ones: it has hardly learned them by heart."


def how_sure(found: Findings) -> str:
    """Whether its confidence can be believed."""
    if found.answers is None:
        return ""
    sure, right = float(found.answers["confidence"].mean()), float(found.answers["right"].mean())
    if not np.isfinite(sure):
        return ""
    text = f"On average it is {percent(sure)} sure of its answer (confidence) and {percent(right)} of them are right"
    if sure - right > HONEST:
        return f"{text}: it is surer than it should be."
    if right - sure > HONEST:
        return f"{text}: it is better than it thinks."
    return f"{text}: its confidence can be believed."


def in_100(share: float) -> str:
    """'87 times in 100', 'once in 200', 'every time', 'never'."""
    if not np.isfinite(share):
        return "an unknown share of the time"
    if share >= 1:
        return "every time"
    if share <= 0:
        return "never"
    if share < 0.0095:
        return f"once in {round(1 / share):,}"
    hundredths = min(99, max(1, round(100 * share)))
    return f"{times(hundredths)} in 100"


def times(count: float) -> str:
    return "once" if count == 1 else f"{count:,.0f} times"


def counted(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"


def percent(share: float) -> str:
    """'61.3 %', which no line end parts, or a dash."""
    return f"{100 * share:.1f}\u00a0%" if np.isfinite(share) else "–"


def shorten(text: str, most: int = 60) -> str:
    """Names come from elsewhere and may be of any length; a report has a size."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def name_of(run: Run, label: int) -> str:
    return shorten(run.classes[int(label)].name)
