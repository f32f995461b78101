"""The words of the glossary: what the field calls a thing, plain words for it, and where in the app it is seen."""

from dataclasses import dataclass, field

GROUPS = {
    "pictures": "Pictures",
    "network": "The network",
    "learning": "Learning",
    "judging": "Judging it",
    "looking": "Looking inside",
}


@dataclass(frozen=True)
class Term:
    slug: str
    """In the address."""
    name: str
    """The field's term."""
    plain: str
    """The same in everyday words, or other names for it."""
    text: str
    """One or two sentences for somebody who is sixteen."""
    group: str
    pages: tuple[str, ...]
    """Where one meets it: names of views, the best one to see it first."""
    query: dict[str, str] = field(default_factory=dict)
    """The address on the first of these pages at which it is seen."""


def _term(group: str, name: str, plain: str, pages: str, text: str, **query: str) -> Term:
    slug = name.lower().replace(" ", "-")
    return Term(slug, name, plain, text, group, tuple(pages.split()), query)


TERMS = (
    # Pictures
    _term("pictures", "Pixel", "a dot of colour", "data gradcam",
        "A picture is a grid of dots, each of three numbers from 0 to 255: how much red, green and blue. All pictures here "
        "have 64 × 64 of them; that is everything the network ever gets."),
    _term("pictures", "Dataset", "a collection of pictures with their names", "data train",
        "All that a network learns from and is judged by. What is not in there, it cannot learn."),
    _term("pictures", "Class", "a kind of thing", "data confusion mistakes",
        "One of the answers that a network can give, such as “cow”. It always gives one of those it was taught, even for "
        "a picture of something else."),
    _term("pictures", "Label", "the name that comes with a picture", "mistakes data",
        "The answer that counts as right. People gave the labels, and some are wrong or could just as well be another.",
        show="suspicious"),
    _term("pictures", "Training images", "pictures to practise with", "data train",
        "The pictures that the network sees over and over and is corrected on.", split="train"),
    _term("pictures", "Validation images", "pictures kept back", "data train runs mistakes confusion compare",
        "Pictures that the network never learns from. Only they show whether it has understood something or merely "
        "remembers.", split="val"),
    _term("pictures", "Bounding box", "the frame around the thing", "looks data",
        "A rectangle drawn by people around the thing in the picture. The network never sees it; it is there to judge "
        "where the network looks."),
    _term("pictures", "Augmentation", "changes by chance", "data train",
        "Training shifts, mirrors, brightens or covers every picture a little, differently each time, so that the network "
        "learns the thing and not the pixels."),
    _term("pictures", "Mixup", "two pictures blended", "train",
        "Training shows two pictures through each other and expects both names, each with its share."),
    _term("pictures", "CutMix", "a piece of another picture", "train",
        "Training pastes a piece of one picture into another and expects both names, each with its share of the area."),
    _term("pictures", "RICAP", "four pictures in one", "train",
        "Training puts pieces of four pictures together and expects four names, each with its share of the area."),
    _term("pictures", "Shortcut", "right for the wrong reason", "looks data gradcam",
        "Something that gives the answer away in the training pictures without being the thing, such as grass around "
        "cows. A network takes it gladly, and fails where it is missing."),
    # The network
    _term("network", "Neural network", "the thing that learns", "network train",
        "A long calculation with very many adjustable numbers, from the pixels of a picture to one score for each class. "
        "Nobody writes down what a cow looks like: learning sets the numbers."),
    _term("network", "Weights", "the adjustable numbers (parameters)", "network train runs",
        "What learning changes, and all that a network knows. The small network here has under a million of them."),
    _term("network", "Layer", "one step of the calculation", "network gradcam bottleneck",
        "Every layer makes new numbers out of those of the layer before: first edges and colours, later shapes, in the "
        "end parts of things.", view="layers"),
    _term("network", "Convolution", "a small pattern, looked for everywhere", "network",
        "Nine numbers (3 × 3) slide over the whole picture, and answer strongly where their pattern is. A layer has many "
        "such patterns, and learns them itself."),
    _term("network", "Channel", "one of many pictures side by side", "network train",
        "A colour picture has three channels: red, green, blue. Inside the network every pattern makes a channel of its "
        "own: a picture of where it was found."),
    _term("network", "Feature map", "where a pattern was found", "network gradcam bottleneck",
        "What a convolution makes: small pictures, one for each pattern, bright where it was found."),
    _term("network", "Receptive field", "how far one place can see", "network",
        "The piece of the picture that one number inside the network can depend on. It grows from layer to layer, until "
        "it covers the whole picture."),
    _term("network", "Pooling", "making smaller (max-pool)", "network",
        "Of every four neighbours only the strongest stays, so the map becomes half as wide. Where exactly something was "
        "becomes less important than that it was there."),
    _term("network", "ReLU", "negative becomes zero (activation)", "network",
        "After each layer negative numbers are set to zero. Without such a bend, many layers could do no more than one."),
    _term("network", "Bottleneck", "squeezing through", "network bottleneck",
        "Where the network makes the picture half as wide and doubles the number of patterns. What does not help to tell "
        "classes apart gets lost there."),
    _term("network", "Skip connection", "a way around (residual block)", "network",
        "A block adds its result to what it was given instead of replacing it. So it only has to learn what to change, "
        "and deep networks can be trained."),
    _term("network", "Batch norm", "keeping numbers in range", "network train",
        "Brings the numbers between two layers to a common size, so that learning neither stalls nor explodes."),
    _term("network", "Dropout", "switching parts off by chance", "network train",
        "While it learns, some of its features are silenced at random, so that it cannot rely on a single one."),
    _term("network", "Width", "how many patterns a layer has", "network train",
        "The number of channels of the first block; all others follow. A wider network can know more and takes longer."),
    _term("network", "Softmax", "scores become percentages", "gradcam mistakes",
        "Turns the scores of all classes into shares that are positive and together make 100 %."),
    # Learning
    _term("learning", "Epoch", "one round through all pictures", "train runs timelapse",
        "Every training picture has been seen once. After each epoch the network is judged by the validation images."),
    _term("learning", "Batch", "a handful of pictures at once", "train",
        "The pictures of one step. A larger batch gives a steadier direction and fewer steps."),
    _term("learning", "Step", "one correction", "train",
        "The network guesses the pictures of a batch, sees how wrong it was, and all its weights are changed a little."),
    _term("learning", "Loss", "how wrong it is", "train runs mistakes",
        "A number that is 0 for a right answer with full certainty and grows the surer a wrong one is. Learning means "
        "making it smaller. Exactly: minus the logarithm of the probability of the true class (cross-entropy)."),
    _term("learning", "Gradient", "which way is downhill", "train",
        "For every weight: whether the loss gets smaller if it goes up or down, and how much. Computed backwards through "
        "the network (backpropagation)."),
    _term("learning", "Learning rate", "step size", "train runs",
        "How far the weights go in one step. Too small, and it takes for ever; too large, and it jumps over the goal."),
    _term("learning", "SGD", "plain downhill (stochastic gradient descent)", "train",
        "Each step follows the gradient of one batch. Simple, and with momentum good for decades."),
    _term("learning", "Momentum", "running on", "train",
        "A step also keeps some of the direction of those before, like a ball that rolls: noise cancels out, the common "
        "direction adds up."),
    _term("learning", "Muon", "all directions equally strong", "train",
        "A newer way to step (2024): it evens out the step, so that rare patterns learn as fast as frequent ones. Here it "
        "needs far fewer epochs than SGD."),
    _term("learning", "Weight decay", "pulling towards zero", "train",
        "At each step all weights shrink a little. What is not needed again and again disappears."),
    _term("learning", "Label smoothing", "not asking for full certainty", "train",
        "Training asks for, say, 90 % of the true class instead of 100 %, so that the network does not become "
        "overconfident."),
    _term("learning", "Averaged weights", "the mean of the last steps", "train",
        "The weights jitter from step to step. A moving average of them is steadier, and usually better, than the last."),
    _term("learning", "Overfitting", "learning by heart", "train runs",
        "The network becomes better on its training images and no better, or even worse, on new ones: it remembers "
        "pictures instead of understanding things."),
    _term("learning", "Preset", "a recipe to start from", "train runs",
        "All the settings of a training that go together well."),
    _term("learning", "Run", "one training from start to end", "runs train",
        "With its settings, its curves and its network. Runs can be compared, carried to another computer and gone on "
        "with."),
    _term("learning", "Checkpoint", "a saved state", "train runs",
        "The weights and all else that is needed to go on exactly here, written regularly, so that hardly anything is "
        "lost if the computer fails."),
    _term("learning", "Range test", "trying out step sizes", "train",
        "A short trial in which the learning rate grows and grows. Where the loss falls fastest is a good place; where "
        "it shoots up is too far."),
    # Judging
    _term("judging", "Accuracy", "the share of right answers (top-1)", "train runs mistakes",
        "Right answers divided by all answers. To be compared with guessing: of ten classes, guessing gets 10 %."),
    _term("judging", "Top-5", "among its five best guesses", "mistakes runs",
        "The share of pictures whose true class is among the five most probable. Fairer where many classes look alike.",
        show="near"),
    _term("judging", "Confidence", "how sure it is", "mistakes gradcam confusion",
        "The percentage that the network itself gives to its answer. It is a feeling, not a proof: it can be sure and "
        "wrong.", sort="sure"),
    _term("judging", "Calibration", "whether its confidence is honest", "confusion",
        "Of all answers with 80 % confidence, 80 % should be right. A network that is right less often is overconfident.",
        view="calibration"),
    _term("judging", "Misclassified", "a wrong answer", "mistakes",
        "The most probable class is not the true one."),
    _term("judging", "Confusion matrix", "what it takes for what", "confusion",
        "A table with a row for each true class and a column for each answer. What is off the diagonal is wrong, and "
        "shows which classes look alike to the network."),
    _term("judging", "Confidence interval", "how exact a percentage is", "looks compare",
        "Judged by other pictures of the same kind, the percentage would be a little different. In 95 of 100 such trials "
        "the interval contains the true one."),
    # Looking inside
    _term("looking", "Heat map", "a picture of what mattered", "gradcam looks timelapse mistakes",
        "Lays over a picture how much each place spoke for an answer: dark for nothing, bright yellow for most. It says "
        "where, not why."),
    _term("looking", "Grad-CAM", "how the heat map is computed", "gradcam looks timelapse compare",
        "Asks which feature maps of a layer would raise the score of a class (gradient-weighted class activation map), "
        "and adds up those. Coarse: the last layer has only 8 × 8 places."),
    _term("looking", "Pointing game", "whether the brightest place hits", "looks",
        "A heat map wins if its brightest place lies inside the box around the thing. Compared with always pointing at "
        "the middle, or it means nothing."),
    _term("looking", "Representation", "what is left of a picture inside", "bottleneck",
        "The numbers that a layer makes of a picture: its description in the network's own language. Alike pictures get "
        "alike numbers."),
    _term("looking", "Probe", "asking a layer what it knows", "bottleneck",
        "A very simple learner that sees only the numbers of one layer. How often it is right tells how much the layer "
        "knows about the classes.", part="measure"),
    _term("looking", "k-NN", "asking the nearest (k nearest neighbours)", "bottleneck",
        "A probe that learns nothing: a new picture gets the class of those whose numbers are most alike.", part="measure", probe="neighbours"),
    _term("looking", "Principal components", "the most important directions (PCA)", "bottleneck",
        "Hundreds of numbers cannot be drawn. The two directions in which pictures differ most can, and make a map.", part="see"),
    _term("looking", "Effective dimension", "how many directions are used", "bottleneck",
        "A layer may have 256 numbers and still use only ten independent directions. Few directions mean that classes "
        "have become compact groups.", part="measure"),
    _term("looking", "Transfer learning", "teaching an old network new tricks", "bottleneck",
        "A network that has learned to see can be taught a new class from five pictures: its layers stay, only the end is "
        "new.", part="teach"),
)  # fmt: skip

BY_SLUG = {term.slug: term for term in TERMS}


def words_of(page: str) -> list[Term]:
    """The terms that one meets on a page: first those it is the best place for, of them those that come up most."""
    return sorted(
        (term for term in TERMS if page in term.pages),
        key=lambda term: (term.pages[0] != page, -len(term.pages)),
    )


def search(text: str) -> list[Term]:
    """Terms in which all these words occur, those whose names have them first."""
    words = text.lower().split()
    found = [
        term
        for term in TERMS
        if all(word in f"{term.name} {term.plain} {term.text}".lower() for word in words)
    ]
    return sorted(found, key=lambda term: not all(word in term.name.lower() for word in words))
