"""Number formats: what 'fp32', 'bf16' and 'fp16' mean to PyTorch."""

import torch

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def autocast(device: str, precision: str) -> torch.autocast:
    """A context in which matrix products and convolutions on `device` are computed in `precision`."""
    return torch.autocast(device, DTYPES[precision], enabled=precision != "fp32")
