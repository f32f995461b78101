"""What the bottlenecks of the chosen network do, in words whose figures come from its own summary."""

import streamlit as st

from tinymodel.summary import BlockSummary

FORMULAS = r"""
A convolution with kernel side $k$ from $c$ to $c'$ maps of $h \times w$ points, without bias:

- parameters $k^2\,c\,c'$, multiply-adds $k^2\,c\,c'\,h\,w$. Depthwise, each map for itself, divides both by $c$.
- It starts with weights drawn evenly between $\pm\sqrt{6 / (k^2 c + k^2 c')}$ (Xavier uniform, Glorot and Bengio 2010).

Batch norm has two parameters a map: $y = \gamma\,(x - \mu)/\sqrt{\sigma^2 + \varepsilon} + \beta$.

The receptive field $r$ and the spacing $s$ of neighbouring points, both in pixels, grow from layer to layer with
kernel $k$ and stride $t$: $r \leftarrow r + (k - 1)\,s$, then $s \leftarrow s\,t$ (Araujo et al. 2019). Each neck has
$t = 2$, so after it every 3×3 convolution adds twice as much to the view as before.

A residual block computes $\mathrm{ReLU}(x + F(x))$; without its skip connection, $\mathrm{ReLU}(F(x))$.
"""


def explain(blocks: list[BlockSummary]) -> None:
    """What a bottleneck is and why, with the figures of this very picture."""
    first, neck, last = blocks[0], blocks[1], blocks[-3]
    (c, side, _), (c2, side2, _) = first.output_shape, neck.output_shape
    before, after = c * side * side, c2 * side2 * side2
    st.header("What the bottlenecks do", anchor=False)
    columns = st.grid(3, min_column_width=260)
    with columns.cell():
        st.subheader("They squeeze", anchor=False)
        st.markdown(
            f"Look at the first pink neck. Into it go {c} pictures (**feature maps**) of {side} × {side} points, "
            f"out of it come {c2} of {side2} × {side2}: {before:,} numbers become {after:,}, half as many. "
            "From every square of 2 × 2 points only the largest number goes on (**max-pooling**), so the network "
            "must keep what matters and let go of *exactly where* it was."
        )
    with columns.cell():
        st.subheader("They widen the view", anchor=False)
        st.markdown(
            f"After the first block a point knows {first.receptive_field} × {first.receptive_field} pixels of the "
            "image (its **receptive field**): enough for an edge or a colour. Each neck doubles how "
            "fast that view grows. The boxes get smaller, but each point in them knows more: at the end of "
            f"stage 3, a square of up to {last.receptive_field} pixels, more than the whole image."
        )
    with columns.cell():
        st.subheader("They make room for ideas", anchor=False)
        st.markdown(
            f"Each neck doubles the number of maps, from {c} at first to {last.output_shape[0]}: fewer places, "
            "more things to notice at each (**channels**). Typically edges at first, later fur, wheels "
            "or windows. " + _equal_work(blocks)
        )
    if any(block.skip for block in blocks):
        st.markdown(
            "**The green arcs** are skip connections. A **residual block** computes a correction, and at the plus "
            "its input is added to it. The input always gets through, so even the first layers hear "
            "clearly, while training, what they should change. Try a network without them, and the arcs go."
        )
    else:
        st.markdown(
            "**There are no arcs** in this picture: the skip connections are off. Each block must pass on everything "
            "by itself, and a deep network then learns more slowly."
        )
    st.caption(
        "The word bottleneck has a second meaning. In ResNet-50 it is a block whose *middle* has fewer channels; here, "
        "as in the reference project, it is the place between two stages where the maps shrink."
    )


def _equal_work(blocks: list[BlockSummary]) -> str:
    """A sentence on where the work is, true of the design on show."""
    inner = [block.multiply_adds for block in blocks if block.kind in ("bottleneck", "residual")]
    if max(inner) == min(inner):
        return (
            "A quarter of the places times four times as many pairs of maps: every block after the first costs the "
            f"same, {max(inner) / 1e6:,.1f} million multiply-adds."
        )
    return (
        "The work is not the same everywhere: the cheapest of these blocks costs "
        f"{min(inner) / 1e6:,.1f} million multiply-adds, the dearest {max(inner) / 1e6:,.1f} million."
    )
