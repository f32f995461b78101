"""Everything a training run is told: frozen, checked, written to JSON and back, described for the form."""

from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any

from tinymodel.errors import UserError

# The first three as in tinymodel.network, which is not imported because it takes a second to (a test compares them).
NORMS = ("batch", "group", "layer", "ghost")
CONVOLUTIONS = ("plain", "depthwise", "depthwise-separable")
DROPOUTS = ("none", "guided")
DEVICES = ("auto", "cpu", "cuda", "mps")
PRECISIONS = ("auto", "fp32", "bf16", "fp16")
MEMORY_FORMATS = ("auto", "channels-last", "contiguous")
OPTIMIZERS = ("sgd", "muon")
SCHEDULES = ("per-epoch", "per-step")
CROP_FILLS = ("zero", "reflect")
NORMALIZATIONS = ("dataset", "imagenet")
MIXES = ("none", "mixup", "cutmix", "ricap")


def option(
    default: Any = MISSING,
    *,
    group: str,
    label: str,
    help: str,
    minimum: float | None = None,
    maximum: float | None = None,
    step: float | None = None,
    choices: tuple[str, ...] | None = None,
) -> Any:
    """A field with all that a form or `--help` needs to know of it, in the field's metadata."""
    metadata = dict(
        group=group,
        label=label,
        help=help,
        minimum=minimum,
        maximum=maximum,
        step=step,
        choices=choices,
    )
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """One training run. Field order is the order of the form.

    Raises:
        UserError: A value is out of its bounds or of the wrong type; the sentence names the bounds.
    """

    preset: str = "classroom"
    """The preset these values started from: a label, nothing depends on it."""

    # What to learn from
    dataset: str = option(
        group="data", label="Dataset", help="The prepared images the network learns from."
    )
    classes: int | tuple[str, ...] | None = option(
        None,
        group="data",
        label="Classes",
        help="Fewer classes train faster. A number takes the first so many ids in sorted order.",
    )
    hold_out_classes: int | tuple[str, ...] = option(
        0,
        group="data",
        label="Classes kept for later",
        help="The last so many of the chosen classes are never shown in training: a new classifier can be "
        "taught them afterwards.",
    )
    per_class: int | None = option(
        None,
        group="data",
        label="Training images per class",
        help="Fewer images train faster and generalise worse.",
        minimum=2,
        maximum=1_000_000,
        step=50,
    )

    # The network
    width: int = option(
        16,
        group="network",
        label="Width",
        help="Feature maps in the first block; each stage doubles them. 64 is the reference network, 16 has a "
        "sixteenth of its weights and is made for laptops.",
        minimum=1,
        maximum=256,
        step=8,
    )
    norm: str = option(
        "batch",
        group="network",
        label="Normalisation layers",
        help="How each layer's numbers are brought to a common scale: over the batch, over groups of channels, "
        "over all channels of an image (layer), or over small parts of the batch (ghost).",
        choices=NORMS,
    )
    convolution: str = option(
        "plain",
        group="network",
        label="Convolutions",
        help="Of the residual blocks. Plain ones look at all channels at once. Depthwise ones look at each channel alone: far fewer "
        "weights, weaker. Depthwise-separable ones mix the channels afterwards.",
        choices=CONVOLUTIONS,
    )
    skip: bool = option(
        True,
        group="network",
        label="Skip connections",
        help="Let each residual block add its input to its output. Without them deep networks learn slower.",
    )

    dropout: str = option(
        "none",
        group="network",
        label="Silence features (dropout)",
        help="Guided dropout lets each feature learn how strong it is, and silences strong ones at random, so that the "
        "weak ones have to learn something too.",
        choices=DROPOUTS,
    )
    dropout_rate: float = option(
        0.2,
        group="network",
        label="How often (dropout rate)",
        help="The probability that a strong feature is silenced. Used only with guided dropout.",
        minimum=0.0,
        maximum=0.9,
        step=0.05,
    )

    # The recipe
    epochs: int = option(
        16,
        group="recipe",
        label="Epochs",
        help="How many times the network sees every training image.",
        minimum=1,
        maximum=1000,
        step=1,
    )
    batch_size: int = option(
        64,
        group="recipe",
        label="Batch size",
        help="How many images the network sees before it changes its weights once.",
        minimum=2,
        maximum=4096,
        step=16,
    )
    optimizer: str = option(
        "muon",
        group="recipe",
        label="Optimiser",
        help="How the weights are changed. SGD follows the slope with momentum. Muon also evens out the "
        "directions of each change: it learns more from each image.",
        choices=OPTIMIZERS,
    )
    learning_rate: float = option(
        0.3,
        group="recipe",
        label="Learning rate",
        help="The largest step of SGD. Too small learns slowly, too large never settles.",
        minimum=1e-6,
        maximum=10.0,
        step=0.01,
    )
    muon_learning_rate: float = option(
        0.1,
        group="recipe",
        label="Learning rate of Muon",
        help="The largest step of Muon, for the 3×3 convolutions. Used only if the optimiser is Muon.",
        minimum=1e-6,
        maximum=10.0,
        step=0.01,
    )
    momentum: float = option(
        0.9,
        group="recipe",
        label="Momentum",
        help="How much of the last step each step keeps.",
        minimum=0.0,
        maximum=0.999,
        step=0.05,
    )
    weight_decay: float = option(
        5e-4,
        group="recipe",
        label="Weight decay",
        help="Pulls weights towards zero, which keeps the network from learning images by heart.",
        minimum=0.0,
        maximum=1.0,
        step=1e-4,
    )
    decay_norms: bool = option(
        False,
        group="recipe",
        label="Decay norms and biases too",
        help="The reference does; leaving them out is usually better.",
    )
    label_smoothing: float = option(
        0.1,
        group="recipe",
        label="Label smoothing",
        help="Asks the network to stay a little unsure: this share of the target goes to all classes alike.",
        minimum=0.0,
        maximum=0.9,
        step=0.05,
    )
    schedule: str = option(
        "per-step",
        group="recipe",
        label="Learning-rate schedule",
        help="Both rise, then fall. The reference sets the rate once an epoch; per step is smoother and ends "
        "at zero.",
        choices=SCHEDULES,
    )
    warmup: float = option(
        0.2,
        group="recipe",
        label="Warm-up",
        help="The share of the training in which the learning rate rises.",
        minimum=0.0,
        maximum=0.9,
        step=0.05,
    )
    weight_averaging: float = option(
        0.0,
        group="recipe",
        label="Weight averaging",
        help="Judges a moving average of the weights over this share of an epoch. 0 switches it off.",
        minimum=0.0,
        maximum=10.0,
        step=0.25,
    )

    start_side: int = option(
        64,
        group="recipe",
        label="Size of the first images (progressive resizing)",
        help="Smaller images are learned from faster: they grow from this many pixels a side to 64 within the "
        "first part of the training. Until then validation, which always shows full-size images, looks worse than it "
        "is. 64 switches it off.",
        minimum=32,
        maximum=64,
        step=8,
    )

    # Augmentation
    crop_padding: int = option(
        6,
        group="augmentation",
        label="Shift by up to (pixels)",
        help="Each image is moved by a random number of pixels in both directions.",
        minimum=0,
        maximum=32,
        step=1,
    )
    crop_fill: str = option(
        "reflect",
        group="augmentation",
        label="Fill the border with",
        help="What appears where the image was moved away: its mirror image or black.",
        choices=CROP_FILLS,
    )
    flip: float = option(
        0.5,
        group="augmentation",
        label="Mirror left and right",
        help="The probability that an image is mirrored.",
        minimum=0.0,
        maximum=1.0,
        step=0.1,
    )
    alternating_flip: bool = option(
        False,
        group="augmentation",
        label="Mirror every other epoch",
        help="Each image is seen as it is in one epoch and mirrored in the next, instead of by chance: no two epochs "
        "in a row show the same. Takes the place of the probability above.",
    )
    affine: float = option(
        0.0,
        group="augmentation",
        label="Shift, scale and rotate",
        help="The probability that an image is moved and scaled by up to 15 % and turned by up to 7°.",
        minimum=0.0,
        maximum=1.0,
        step=0.1,
    )
    brightness_contrast: float = option(
        0.0,
        group="augmentation",
        label="Change brightness and contrast",
        help="The probability that an image's brightness and contrast change by up to 20 %.",
        minimum=0.0,
        maximum=1.0,
        step=0.1,
    )
    dropout_hole: float = option(
        0.0,
        group="augmentation",
        label="Cut a hole (coarse dropout)",
        help="The probability that a square of 16 to 32 pixels is blacked out, so that the network cannot "
        "rely on one detail.",
        minimum=0.0,
        maximum=1.0,
        step=0.1,
    )

    mix: str = option(
        "none",
        group="augmentation",
        label="Mix images",
        help="Mixup blends two images, CutMix pastes a part of one into another, RICAP puts four together; the "
        "network is to name all of them by their share. It helps in long trainings.",
        choices=MIXES,
    )
    mix_alpha: float = option(
        0.3,
        group="augmentation",
        label="Evenness of the mix",
        help="Near 0 one image nearly always prevails, at 1 every share is as likely. Used only if images are mixed.",
        minimum=0.01,
        maximum=10.0,
        step=0.1,
    )

    # The machine
    flip_average: bool = option(
        False,
        group="machine",
        label="Judge mirrored images too",
        help="At the end, also report the accuracy when the answers to an image and to its mirror image are averaged. "
        "It is kept apart from the plain accuracy.",
    )
    normalization: str = option(
        "dataset",
        group="machine",
        label="Colour normalisation",
        help="Colours are centred with the mean and spread of this dataset, or of ImageNet like the reference.",
        choices=NORMALIZATIONS,
    )
    seed: int = option(
        0,
        group="machine",
        label="Seed",
        help="The same seed gives the same start and the same order of images.",
        minimum=0,
        maximum=2**31 - 1,
        step=1,
    )
    device: str = option(
        "auto",
        group="machine",
        label="Device",
        help="Where to compute. Automatic takes a GPU if there is one.",
        choices=DEVICES,
    )
    precision: str = option(
        "auto",
        group="machine",
        label="Number format (precision)",
        help="Shorter numbers are faster on some machines and slower on others. Automatic measures it.",
        choices=PRECISIONS,
    )
    memory_format: str = option(
        "auto",
        group="machine",
        label="Order of the numbers in memory",
        help="All channels of a point side by side (channels-last), or map after map (contiguous). The results are the "
        "same up to rounding; which is faster depends on the machine. Automatic measures it.",
        choices=MEMORY_FORMATS,
    )
    compile: bool = option(
        False,
        group="machine",
        label="Compile the network (torch.compile)",
        help="On an NVIDIA GPU: a minute or more before the first step, faster steps afterwards. It is measured, and "
        "left out where nothing is gained. Elsewhere it does nothing.",
    )
    checkpoint_seconds: float = option(
        30.0,
        group="machine",
        label="Save every (seconds)",
        help="The most work that is lost if the machine fails.",
        minimum=1.0,
        maximum=3600.0,
        step=5.0,
    )

    def __post_init__(self) -> None:
        for item in fields(self):
            object.__setattr__(self, item.name, _checked(item, getattr(self, item.name)))

    def image_side(self, epoch: int) -> int:
        """Pixels a side in this epoch (from 0), a multiple of 8: from `start_side` to 64 in the first 70 % of the epochs.

        Source: progressive resizing as in the fast.ai entry to DAWNBench (Howard 2018). The last epochs see images as
        validation shows them.
        """
        grown = min(1.0, epoch / max(1.0, 0.7 * self.epochs))
        return 8 * round((self.start_side + (64 - self.start_side) * grown) / 8)

    def replace(self, **changes: Any) -> "TrainConfig":
        return replace(self, **changes)

    def to_json(self) -> dict[str, Any]:
        """Plain types only; `from_json` gives the same configuration back."""
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in asdict(self).items()
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "TrainConfig":
        known = {item.name for item in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise UserError(
                f"The configuration has unknown entries: {', '.join(map(str, unknown))[:200]}. "
                "It was probably written by a newer version; update this program."
            )
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})


_TYPES = {"int": int, "float": float, "bool": bool, "str": str}


def _checked(item: Any, value: Any) -> Any:
    """`value` in the type of the field `item`, or a UserError that names what is allowed."""
    label = item.name
    annotation = item.type if isinstance(item.type, str) else getattr(item.type, "__name__", "")
    if item.name in ("classes", "hold_out_classes"):
        return _checked_classes(label, value)
    if item.name == "per_class" and value is None:
        return None
    kind = int if item.name == "per_class" else _TYPES[annotation]
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
        raise UserError(f"{label} must be of type {kind.__name__}, not {value!r}.")
    metadata = item.metadata or MappingProxyType({})
    choices = metadata.get("choices")
    if choices and value not in choices:
        raise UserError(f"{label} must be one of {', '.join(choices)}, not {value!r}.")
    low, high = metadata.get("minimum"), metadata.get("maximum")
    if low is not None and not low <= value <= high:  # NaN fails this comparison too
        raise UserError(f"{label} must be between {low:g} and {high:g}, not {value!r}.")
    return value


def _checked_classes(label: str, value: Any) -> int | tuple[str, ...] | None:
    if value is None and label == "classes":
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        low = 1 if label == "classes" else 0
        if value < low:
            raise UserError(f"{label} must be at least {low}, not {value}.")
        return value
    if isinstance(value, (tuple, list)) and all(isinstance(v, str) for v in value):
        return tuple(value)
    raise UserError(f"{label} must be a number or a list of class ids or names, not {value!r}.")


@dataclass(frozen=True)
class Preset:
    """Values of a `TrainConfig` that go together, with words for the person who chooses."""

    title: str
    description: str
    values: MappingProxyType


PRESETS: dict[str, Preset] = {
    "classroom": Preset(
        "Classroom",
        "A quarter-width network and a recipe for little time: good accuracy on ten classes in two to three minutes on a "
        "laptop.",
        MappingProxyType({}),
    ),
    "fast": Preset(
        "Fast",
        "The most accuracy for the time, at any width: Muon, images that grow while it trains, each mirrored every other "
        "epoch. The shipped network was trained so.",
        MappingProxyType(
            dict(
                epochs=15,
                batch_size=128,
                muon_learning_rate=0.12,
                start_side=40,
                alternating_flip=True,
                flip_average=True,
            )
        ),
    ),
    "reference": Preset(
        "Reference",
        "The recipe of the reference project, faithfully: the full-width network, 35 epochs, SGD. Made for a GPU; "
        "on a laptop it takes days.",
        MappingProxyType(
            dict(
                width=64,
                epochs=35,
                batch_size=256,
                optimizer="sgd",
                learning_rate=0.5,
                momentum=0.9,
                weight_decay=1e-4,
                decay_norms=True,
                label_smoothing=0.2,
                schedule="per-epoch",
                warmup=0.2,
                weight_averaging=0.0,
                crop_padding=3,
                crop_fill="zero",
                flip=0.3,
                affine=0.5,
                brightness_contrast=0.3,
                dropout_hole=1.0,
                normalization="imagenet",
            )
        ),
    ),
}


def from_preset(name: str, **changes: Any) -> TrainConfig:
    """The preset's values with `changes` over them; `dataset` must be among the changes.

    Raises:
        UserError: There is no such preset, or a value is out of bounds.
    """
    if name not in PRESETS:
        raise UserError(f"There is no preset {name!r}: choose one of {', '.join(PRESETS)}.")
    return TrainConfig(**{"preset": name, **PRESETS[name].values, **changes})
