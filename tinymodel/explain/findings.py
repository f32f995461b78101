"""What the table of `localisation.localise` says: means with their intervals, four fields, classes that stand out."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

WIDEST = 0.8  # share of the image; around a wider box there is hardly any elsewhere
FIELDS = ("right-inside", "right-elsewhere", "wrong-inside", "wrong-elsewhere")


@dataclass(frozen=True)
class Estimate:
    """A mean over images with its 95 % confidence interval; NaN where there is nothing to go by."""

    mean: float
    low: float
    high: float
    count: int


def mean_of(values: pd.Series) -> Estimate:
    """Of any numbers, NaN left out: mean ± 1.96 standard errors."""
    values = values.dropna().to_numpy(float)
    if not len(values):
        return Estimate(np.nan, np.nan, np.nan, 0)
    error = values.std(ddof=1) / len(values) ** 0.5 if len(values) > 1 else np.nan
    mean = values.mean()
    return Estimate(mean, mean - 1.96 * error, mean + 1.96 * error, len(values))


def share_of(values: pd.Series) -> Estimate:
    """Of yes and no: the share of yes, as `wilson`."""
    return wilson(float(values.sum()), len(values))


def wilson(successes: float, count: int) -> Estimate:
    """A share and Wilson's interval (1927)."""
    if not count:
        return Estimate(np.nan, np.nan, np.nan, 0)
    share, z = successes / count, 1.96
    middle = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    reach = z / (1 + z**2 / count) * (share * (1 - share) / count + z**2 / (4 * count**2)) ** 0.5
    return Estimate(share, max(0.0, middle - reach), min(1.0, middle + reach), int(count))


def gain(table: pd.DataFrame, name: str = "network") -> pd.Series:
    """Of one of `MAPS`: share of the heat inside the box less the box's share of the image, in (-1, 1)."""
    return table[f"{name}_inside"] - table["area"]


def looks_inside(inside: pd.Series, area: pd.Series) -> pd.Series:
    """Whether a map looks at the thing: its heat is denser inside the box than outside, so the gain is above zero."""
    return inside > area


def fields(table: pd.DataFrame) -> pd.Series:
    """Which of `FIELDS` each image falls into; missing where it has none.

    By the map for the network's own answer. Left out are boxes wider than `WIDEST` and blank maps.
    """
    right = np.where(table["label"] == table["prediction"], "right", "wrong")
    looks = np.where(looks_inside(table["inside"], table["area"]), "inside", "elsewhere")
    names = pd.Series(right, index=table.index) + "-" + looks
    return names.where((table["area"] <= WIDEST) & table["inside"].notna())


def suspects(table: pd.DataFrame) -> pd.DataFrame:
    """The classes whose right answers look elsewhere more often than those of all others: a shortcut, perhaps.

    More often: the lower end of the 95 % interval lies above the share of the others, and there are at least three.

    Returns:
        `label`, `share` of the right answers that look elsewhere, `others` (that share of all other classes), and
        `images`, how many they are; the greatest share first.
    """
    field = fields(table)
    right = pd.DataFrame(dict(label=table["label"], elsewhere=field == "right-elsewhere"))
    counts = right[field.isin(FIELDS[:2])].groupby("label")["elsewhere"].agg(["sum", "count"])
    rows = []
    for label, (images, count) in counts.iterrows():
        rest = counts.drop(label)
        others = rest["sum"].sum() / rest["count"].sum() if len(rest) else 0.0
        share = wilson(images, count)
        if images >= 3 and share.low > others:
            rows.append(dict(label=int(label), share=share.mean, others=others, images=int(images)))
    found = pd.DataFrame(rows, columns=["label", "share", "others", "images"])
    return found.sort_values("share", ascending=False, ignore_index=True)


def by_class(table: pd.DataFrame) -> pd.DataFrame:
    """One row per label, ordered by gain.

    Returns:
        `label`, `images`, `accuracy`, `gain` with its interval `low` and `high` (as `mean_of`), `hit`, and
        `wrong_reason`, the share of the right answers that look elsewhere (NaN without any).
    """
    field = fields(table)
    groups = pd.DataFrame(
        dict(
            label=table["label"],
            right=table["label"] == table["prediction"],
            gain=gain(table),
            hit=table["network_hit"],
            known=field.isin(FIELDS[:2]),
            elsewhere=field == "right-elsewhere",
        )
    ).groupby("label")
    gains = groups["gain"].agg(["mean", "std", "count"])
    reach = 1.96 * gains["std"] / gains["count"] ** 0.5
    found = pd.DataFrame(
        dict(
            images=groups.size(),
            accuracy=groups["right"].mean(),
            gain=gains["mean"],
            low=gains["mean"] - reach,
            high=gains["mean"] + reach,
            hit=groups["hit"].mean(),
            wrong_reason=groups["elsewhere"].sum() / groups["known"].sum(),
        )
    )
    return found.reset_index().sort_values("gain", ignore_index=True)
