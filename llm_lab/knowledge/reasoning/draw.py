"""Pictures of a proof: Graphviz text, and an SVG that needs no other file."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping

from llm_lab.knowledge.reasoning.proof import Proof

WIDTH, HEIGHT = 2.6, 1.0  # inches of a node's place
LONGEST = 44  # characters of a line in a node


def dot(proof: Proof) -> str:
    """The proof as a Graphviz digraph: boxes for given facts, an edge from each premise to what follows."""
    lines = ["digraph proof {", "  rankdir=BT;", "  node [fontname=Helvetica];"]
    numbers = {id(node): place for place, node in enumerate(proof.nodes())}
    for node in proof.nodes():
        shape = "box" if node.rule is None else "ellipse"
        lines.append(f"  n{numbers[id(node)]} [shape={shape}, label={_quoted(_label(node))}];")
        absent = [str(atom) for atom in node.absent]
        for place, premise in enumerate(node.premises):
            label = f", label={_quoted(str(node.rule))}" if place == 0 else ""
            lines.append(f"  n{numbers[id(premise)]} -> n{numbers[id(node)]} [arrowhead=normal{label}];")
        for place, atom in enumerate(absent):
            name = f"n{numbers[id(node)]}a{place}"
            lines += [
                f"  {name} [shape=box, style=dashed, label={_quoted(atom)}];",
                f"  {name} -> n{numbers[id(node)]};",
            ]
    return "\n".join([*lines, "}", ""])


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _label(node: Proof) -> str:
    return str(node.fact) if node.confidence == 1 else f"{node.fact}\n{node.confidence:.3g}"


def svg(proof: Proof) -> str:
    """The proof as a picture: what is proved on top, given facts in boxes, rules beside the lines."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    places = _places(proof)
    wide = max(x for x, _ in places.values()) + 1
    high = max(y for _, y in places.values()) + 1
    figure = Figure(figsize=(wide * WIDTH, high * HEIGHT))
    FigureCanvasSVG(figure)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    axes.set_xlim(-0.5, wide - 0.5)
    axes.set_ylim(high - 0.5, -0.5)
    for node in proof.nodes():
        x, y = places[id(node)]
        for premise in node.premises:
            below = places[id(premise)]
            axes.plot([x, below[0]], [y, below[1]], color="0.6", linewidth=1, zorder=1)
        face = "white" if node.rule else "#e8eef7"
        style = {"boxstyle": "round" if node.rule else "square", "facecolor": face, "edgecolor": "0.3"}
        axes.text(
            x, y, _drawn(node), ha="center", va="center", fontsize=7, bbox=style, zorder=2, parse_math=False
        )
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None})
    return out.getvalue()


def _drawn(node: Proof) -> str:
    lines = [
        *_label(node).split("\n"),
        *(["by " + str(node.rule)] if node.rule else []),
        *map(str, node.absent),
    ]
    return "\n".join(line if len(line) <= LONGEST else line[: LONGEST - 1] + "…" for line in lines)


def _places(proof: Proof) -> Mapping[int, tuple[float, int]]:
    """Column and row of each distinct node: a row below what it serves first, leaves side by side."""
    rows, stack = dict[int, int](), [(proof, 0)]
    while stack:
        node, row = stack.pop()
        if rows.get(id(node), -1) < row:
            rows[id(node)] = row
            stack.extend((premise, row + 1) for premise in node.premises)
    places, free = dict[int, tuple[float, int]](), dict[int, int]()
    for node in proof.nodes():
        row = rows[id(node)]
        under = [places[id(premise)][0] for premise in node.premises]
        column = max(sum(under) / len(under) if under else 0.0, free.get(row, 0))
        places[id(node)] = column, row
        free[row] = int(column) + 1 if column == int(column) else int(column) + 2
    return places
