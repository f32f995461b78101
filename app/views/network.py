"""Network: what it is made of, as a picture, in words and in figures."""

from typing import Any

import pandas as pd
import streamlit as st
from components import architecture, bottlenecks, messages
from components.pickers import choose

from tinymodel.config import TrainConfig
from tinymodel.network import CONVOLUTIONS, NORMS
from tinymodel.runs import Run, list_runs
from tinymodel.summary import BlockSummary, summarize_design

OWN = "Try it out here"
WIDTHS = (4, 8, 16, 24, 32, 48, 64, 96, 128)
HELP = {name: item.metadata.get("help") for name, item in TrainConfig.__dataclass_fields__.items()}


def choose_design() -> dict[str, Any]:
    """The options of the network on show: of a run, or chosen here. All of it is in the address."""
    runs = [run.name for run in list_runs()]
    source = OWN
    if runs:
        source = choose(
            "Network",
            {OWN: OWN} | {name: name for name in runs},
            name="run",
            help="The network of one of your training runs, or one to play with.",
        )
    if source != OWN:
        options = Run.open(source).info()["model"]
        defaults = dict(norm="batch", convolution="plain", skip=True)
        shown = defaults | options
        st.caption(
            f"The run {source} trains {shown['classes']} classes at width {shown['width']}, with "
            f"{shown['norm']} norm, {shown['convolution']} convolutions, "
            f"{'with' if shown['skip'] else 'without'} skip connections."
        )
        return options
    grid = st.grid(5, min_column_width=170, vertical_alignment="bottom")
    bound = dict(bind="query-params")
    with grid.cell():
        width = st.select_slider("Width", WIDTHS, 16, help=HELP["width"], key="width", **bound)
    with grid.cell():
        classes = st.number_input(
            "Classes", 2, 1000, 200, help="One score for each of them.", key="n-classes", **bound
        )
    with grid.cell():
        norm = st.selectbox(
            "Normalisation",
            NORMS,
            format_func=str.capitalize,
            help=HELP["norm"],
            key="norm",
            **bound,
        )
    with grid.cell():
        convolution = st.selectbox(
            "Convolutions",
            CONVOLUTIONS,
            format_func=str.capitalize,
            help=HELP["convolution"],
            key="convolution",
            **bound,
        )
    with grid.cell():
        skip = st.toggle("Skip connections", True, help=HELP["skip"], key="skip", **bound)
    return dict(classes=classes, width=width, norm=norm, convolution=convolution, skip=skip)


def show_totals(blocks: list[BlockSummary]) -> None:
    parameters = sum(block.parameters for block in blocks)
    work = sum(block.multiply_adds for block in blocks)
    reference = _design(classes=200, width=64)
    of_work = work / sum(block.multiply_adds for block in reference)
    of_parameters = parameters / sum(block.parameters for block in reference)
    columns = st.grid(3, min_column_width=200)
    with columns.cell():
        st.metric(
            "Numbers it can learn (parameters)",
            f"{parameters:,}",
            f"{messages.percent(of_parameters)} of the reference network",
            delta_color="off",
            delta_arrow="off",
            help="Training changes these numbers and nothing else. The reference network, of width 64 and for "
            "200 classes, has 14,085,000.",
        )
    with columns.cell():
        st.metric(
            "Work for one image (multiply-adds)",
            f"{work / 1e9:.2f} billion" if work >= 1e8 else f"{work / 1e6:.1f} million",
            f"{messages.percent(of_work)} of the reference network",
            delta_color="off",
            delta_arrow="off",
            help="Multiplications, each with an addition, in its convolutions and its classifier. Training takes "
            "about three times as much: forwards, and twice backwards.",
        )
    with columns.cell():
        st.metric(
            "Size in memory",
            f"{4 * parameters / 1e6:.1f} MB",
            "4 bytes a number (fp32)",
            delta_color="off",
            delta_arrow="off",
            help="Of the parameters alone. Training needs several times as much.",
        )


def layer_table(blocks: list[BlockSummary], every_layer: bool) -> pd.DataFrame:
    table = pd.DataFrame(
        {
            "Block": block.title,
            **({"Layer": item.kind} if every_layer else {}),
            "Maps": item.output_shape[0],
            "Side": item.output_shape[1],
            "Sees": item.receptive_field,
            "Multiply-adds": item.multiply_adds / 1e6,
            "Parameters": item.parameters,
        }
        for block in blocks
        for item in (block.layers if every_layer else (block,))
    )
    table["Share"] = 100 * table["Parameters"] / table["Parameters"].sum()
    return table


def show_table(blocks: list[BlockSummary]) -> None:
    st.header("Block by block", anchor=False)
    every_layer = st.toggle("Open the blocks: show every layer", key="layers", bind="query-params")
    column = st.column_config.NumberColumn
    st.dataframe(
        layer_table(blocks, every_layer),
        hide_index=True,
        height=640 if every_layer else "content",
        alt="The blocks of the network",
        column_config={
            "Block": st.column_config.TextColumn(pinned=True),
            "Layer": st.column_config.TextColumn(width="medium"),
            "Maps": column("Maps (channels)", help="How many feature maps come out, or how many numbers."),
            "Side": column("Side (points)", help="Of each map; a single number has side 1."),
            "Sees": column(
                "Sees (pixels)",
                help="Receptive field: the side of the square of the image that one point can depend on. "
                "From 64 on it can be the whole image.",
            ),
            "Parameters": column("Parameters", format="localized", help="Numbers that training changes."),
            "Multiply-adds": column("Multiply-adds (millions)", format="%.1f", help="For one image."),
            "Share": st.column_config.ProgressColumn(
                "Share of the parameters", format="%.1f %%", min_value=0, max_value=100
            ),
        },
    )  # fmt: skip
    with st.expander("The formulas behind the figures", icon=":material/function:"):
        st.markdown(bottlenecks.FORMULAS)


@st.cache_data(max_entries=256, show_spinner=False)
def _design(**options: Any) -> list[BlockSummary]:
    return summarize_design(**options)


st.title("Network", anchor=False)
st.markdown(
    "An image goes in, and out come scores, one for each class: the higher, the better that class fits. "
    "Change the network, and its picture changes."
)
with messages.user_errors():
    blocks = _design(**choose_design())
    architecture.picture(blocks)
    show_totals(blocks)
    bottlenecks.explain(blocks)
    show_table(blocks)
    st.page_link("views/train.py", label="Train a network", icon=":material/model_training:")
