"""The bottleneck network of the reference project, at any width.

Shapes are given at `width` = 64, the reference: 14,085,000 parameters for 200 classes. Source: the project
woolly-of-cv/pytorch-examples, tiny_imagenet.
"""

from functools import partial

import torch
from torch import Tensor, nn

from tinymodel.dropout import GuidedDropout

NORMS = ("batch", "group", "layer", "ghost")
CONVOLUTIONS = ("plain", "depthwise", "depthwise-separable")
DROPOUTS = ("none", "guided")
GHOST_BATCH = 32  # images that share their statistics under norm="ghost"
STAGES = ("stage1", "stage2", "stage3")
BLOCKS = (
    "first",
    *(f"{stage}.{block}" for stage in STAGES for block in ("bottleneck", "residual1", "residual2")),
)
DEPTH = len(BLOCKS)  # of a whole network


class GhostBatchNorm2d(nn.BatchNorm2d):
    """Batch norm whose training statistics come from groups of 32 images (Hoffer et al. 2017, section 4)."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or x.shape[0] <= GHOST_BATCH:
            return super().forward(x)
        return torch.cat(
            [super(GhostBatchNorm2d, self).forward(part) for part in x.split(GHOST_BATCH)]
        )


def make_norm(norm: str, channels: int) -> nn.Module:
    if norm == "batch":
        return nn.BatchNorm2d(channels)
    if norm == "ghost":
        return GhostBatchNorm2d(channels)
    if norm == "layer":
        return nn.GroupNorm(1, channels)
    # 16 groups, or where 16 does not divide the channels (width 8 or 20) the next smaller number that does.
    groups = next(n for n in range(min(16, channels), 0, -1) if channels % n == 0)
    return nn.GroupNorm(groups, channels)


def make_convolution(convolution: str, channels_in: int, channels_out: int) -> nn.Module:
    """A 3×3 convolution, padding 1, no bias, of the kind named."""
    conv3x3 = partial(nn.Conv2d, kernel_size=3, padding=1, bias=False)
    if convolution == "plain":
        return conv3x3(channels_in, channels_out)
    depthwise = conv3x3(channels_in, channels_out, groups=channels_in)
    if convolution == "depthwise":
        return depthwise
    return nn.Sequential(depthwise, nn.Conv2d(channels_out, channels_out, 1, bias=False))


class Bottleneck(nn.Module):
    """Halves the picture and doubles the channels: (B, c, h, w) → (B, 2c, h/2, w/2)."""

    def __init__(self, channels: int, norm: str):
        super().__init__()
        self.conv = make_convolution("plain", channels, 2 * channels)
        self.pool = nn.MaxPool2d(2)
        self.norm = make_norm(norm, 2 * channels)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.norm(self.pool(self.conv(x))))


class Residual(nn.Module):
    """Two convolutions whose result is added to their input, if `skip`: (B, c, h, w) → (B, c, h, w)."""

    def __init__(self, channels: int, norm: str, convolution: str, skip: bool):
        super().__init__()
        self.conv1 = make_convolution(convolution, channels, channels)
        self.norm1 = make_norm(norm, channels)
        self.relu1 = nn.ReLU()
        self.conv2 = make_convolution(convolution, channels, channels)
        self.norm2 = make_norm(norm, channels)
        self.relu2 = nn.ReLU()
        self.skip = skip

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu1(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        return self.relu2(y + x if self.skip else y)


class First(nn.Module):
    """From colours to features, without a skip: (B, 3, h, w) → (B, c, h, w)."""

    def __init__(self, channels: int, norm: str):
        super().__init__()
        self.conv1 = make_convolution("plain", 3, channels)
        self.norm1 = make_norm(norm, channels)
        self.relu1 = nn.ReLU()
        self.conv2 = make_convolution("plain", channels, channels)
        self.norm2 = make_norm(norm, channels)
        self.relu2 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu1(self.norm1(self.conv1(x)))
        return self.relu2(self.norm2(self.conv2(x)))


class Stage(nn.Module):
    """A bottleneck and two residual blocks, or the first `blocks` of them: (B, c, h, w) → (B, 2c, h/2, w/2)."""

    def __init__(self, channels: int, norm: str, convolution: str, skip: bool, blocks: int = 3):
        super().__init__()
        self.bottleneck = Bottleneck(channels, norm)
        for number in range(1, blocks):
            block = Residual(2 * channels, norm, convolution, skip)
            self.add_module(f"residual{number}", block)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.children():
            x = block(x)
        return x


class BottleneckNet(nn.Module):
    """Images to class scores: normalised colours float (B, 3, 64, 64) → logits float (B, classes).

    Args:
        classes: How many classes it tells apart.
        width: Channels of the first block; 64 is the reference, 16 the classroom's quarter width.
        norm: One of `NORMS`. Group norm uses min(16, channels) groups, or the next smaller number that divides the
            channels; layer norm one.
        convolution: One of `CONVOLUTIONS`, for the residual blocks. First block and bottlenecks stay plain, as in the
            reference; else depthwise channels would never meet before the classifier.
        skip: Whether residual blocks add their input.
        depth: How many of the ten blocks there are, from the first: fewer make a network cut after block `depth`, with
            its pooling and classifier stacked on that block's output.
        dropout: One of `DROPOUTS`, of the pooled features, which are the classifier's input.
        dropout_rate: How likely a strong feature is silenced in training, in [0, 1).

    Raises:
        ValueError: An option is not one of those listed.
    """

    def __init__(
        self,
        classes: int = 200,
        width: int = 64,
        norm: str = "batch",
        convolution: str = "plain",
        skip: bool = True,
        depth: int = DEPTH,
        dropout: str = "none",
        dropout_rate: float = 0.2,
    ):
        super().__init__()
        if norm not in NORMS:
            raise ValueError(f"norm must be one of {', '.join(NORMS)}, not {norm!r}.")
        if convolution not in CONVOLUTIONS:
            raise ValueError(
                f"convolution must be one of {', '.join(CONVOLUTIONS)}, not {convolution!r}."
            )
        if width < 1 or classes < 1:
            raise ValueError(f"width and classes must be at least 1, not {width} and {classes}.")
        if not 1 <= depth <= DEPTH:
            raise ValueError(f"depth must be between 1 and {DEPTH} blocks, not {depth}.")
        if dropout not in DROPOUTS:
            raise ValueError(f"dropout must be one of {', '.join(DROPOUTS)}, not {dropout!r}.")
        if not 0 <= dropout_rate < 1:
            raise ValueError(f"dropout_rate must be at least 0 and below 1, not {dropout_rate}.")
        self.options = dict(
            classes=classes, width=width, norm=norm, convolution=convolution, skip=skip
        )
        if depth < DEPTH:
            self.options["depth"] = depth
        if dropout != "none":
            self.options |= dict(dropout=dropout, dropout_rate=dropout_rate)
        self.first = First(width, norm)  # (B, 64, 64, 64)
        channels = width
        # Shapes at width 64: stage1 (B, 128, 32, 32), stage2 (B, 256, 16, 16), stage3 (B, 512, 8, 8)
        for stage in STAGES:
            blocks = sum(name.startswith(stage) for name in BLOCKS[:depth])
            if blocks:
                self.add_module(stage, Stage(channels, norm, convolution, skip, blocks))
                channels *= 2
        self.pool = nn.AdaptiveAvgPool2d(1)  # (B, 512, 1, 1)
        self.dropout = GuidedDropout(channels, dropout_rate) if dropout == "guided" else None
        self.classifier = nn.Linear(channels, classes)
        self.initialize()

    def initialize(self, generator: torch.Generator | None = None) -> None:
        """Draw fresh weights: Xavier-uniform convolutions, the linear layer as PyTorch does.

        With a generator of one's own the draw is reproducible whatever other threads do.
        """
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.xavier_uniform_(module.weight, generator=generator)
        bound = self.classifier.in_features**-0.5
        nn.init.uniform_(self.classifier.weight, -bound, bound, generator=generator)
        nn.init.uniform_(self.classifier.bias, -bound, bound, generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        for stage in self.stages():
            x = stage(x)
        features = self.pool(x).flatten(1)  # (B, 512)
        if self.dropout is not None:
            features = self.dropout(features)
        return self.classifier(features)

    def stages(self) -> list[nn.Module]:
        """The first block and the stages that there are, in order."""
        return [module for name, module in self.named_children() if name in ("first", *STAGES)]

    def blocks(self) -> dict[str, nn.Module]:
        """The blocks in order (ten, or `depth` of them), by the dotted name under which `get_submodule` finds them.

        These are the layers that a heat map, a probe or a feature can be taken from.
        """
        depth = self.options.get("depth", DEPTH)
        return {name: self.get_submodule(name) for name in BLOCKS[:depth]}


def block_title(name: str) -> str:
    """The name of a block for people: 'stage2.bottleneck' → 'Stage 2 · bottleneck'."""
    if name == "first":
        return "First block"
    stage, _, block = name.partition(".")
    block = block.replace("residual", "residual ")
    return f"Stage {stage.removeprefix('stage')} · {block}"
