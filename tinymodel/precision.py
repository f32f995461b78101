"""Number formats and memory formats: what 'fp32', 'bf16', 'channels-last' and so on mean to PyTorch."""

import torch

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
MEMORY_FORMATS = {"channels-last": torch.channels_last, "contiguous": torch.contiguous_format}


def autocast(device: str, precision: str) -> torch.autocast:
    """A context in which matrix products and convolutions on `device` are computed in `precision`."""
    return torch.autocast(device, DTYPES[precision], enabled=precision != "fp32")
