"""Maps that know nothing of the network: what a heat map must be better than, or different from."""

import numpy as np

from tinymodel.data.prepared import SIDE


def edge_map(images: np.ndarray) -> np.ndarray:
    """How strongly the brightness changes at each pixel (Sobel): uint8 (B, 64, 64, 3) → float32 (B, 64, 64), ≥ 0."""
    grey = np.asarray(images, dtype=np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    padded = np.pad(grey, ((0, 0), (1, 1), (1, 1)), mode="edge")
    sums = padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]  # down each column: (B, 64, 66)
    across = sums[:, :, 2:] - sums[:, :, :-2]
    sums = padded[:, :, :-2] + 2 * padded[:, :, 1:-1] + padded[:, :, 2:]  # (B, 66, 64)
    down = sums[:, 2:] - sums[:, :-2]
    return np.hypot(across, down)


def coarse(maps: np.ndarray, cells: int) -> np.ndarray:
    """Sums over a grid of cells: (B, h, w) → float32 (B, cells, cells)."""
    count, height, width = maps.shape
    blocks = maps.reshape(count, cells, height // cells, cells, width // cells)
    return blocks.sum((2, 4), dtype=np.float32)


def random_map(indices: np.ndarray, cells: int, seed: int = 0) -> np.ndarray:
    """Every cell drawn from [0, 1): float32 (B, cells, cells); the same image always gets the same one."""
    shape = (cells, cells)
    draws = [np.random.default_rng([seed, int(i)]).random(shape, np.float32) for i in indices]
    return np.stack(draws)


def centre_map(count: int) -> np.ndarray:
    """All the heat in the pixel in the middle: float32 (B, 64, 64)."""
    maps = np.zeros((count, SIDE, SIDE), np.float32)
    maps[:, SIDE // 2, SIDE // 2] = 1
    return maps
