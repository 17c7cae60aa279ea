"""Where configs are looked for: ours, the user's own `conf/`, then one folder per pack in `experiments/`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from llm_lab.config.fault import Fault, short_path

CONF_VARIABLE = "LLM_LAB_CONF"  # another root in place of the shipped one
ROOT_CONFIG = "config"


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One folder of configs and whose it is: `ours`, `user` or `pack`."""

    scope: str
    folder: Path

    @property
    def provider(self) -> str:
        """The name that Hydra shows beside the folder in `--info searchpath`."""
        return "main" if self.scope == "ours" else f"llm_lab {self.scope} {self.folder.name}"


def conf_root() -> Path:
    """The shipped configs: `conf/` at the top of a checkout, `llm_lab/conf` in a wheel."""
    if named := os.environ.get(CONF_VARIABLE):
        return Path(named).resolve()
    package = Path(__file__).resolve().parents[1]
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"


def layers(*, root: Path | None = None, cwd: Path | None = None) -> list[Layer]:
    """Every folder of configs, ours first; Hydra takes the first that holds a name."""
    root, cwd = root or conf_root(), cwd or Path.cwd()
    found = [Layer(scope="ours", folder=root)]
    user = cwd / "conf"
    if user.is_dir() and user.resolve() != root.resolve():
        found.append(Layer(scope="user", folder=user))
    packs = cwd / "experiments"
    if packs.is_dir():
        folders = sorted(folder for folder in packs.iterdir() if folder.is_dir())
        found += [Layer(scope="pack", folder=folder) for folder in folders if folder.name[0] not in "._"]
    return found


def configs(folder: Path) -> Iterator[str]:
    """The names of all configs under `folder`, `model/minilm` say, sorted, hidden folders left out."""
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name[0] not in "._")
        prefix = Path(parent).relative_to(folder).as_posix()
        for file in sorted(files):
            if file.endswith(".yaml"):
                name = file.removesuffix(".yaml")
                yield name if prefix == "." else f"{prefix}/{name}"


def clashes(found: Sequence[Layer]) -> list[Fault]:
    """One fault per name that stands in two layers, where the second would be silently ignored."""
    first: dict[str, Path] = {}
    faults = []
    for layer in found:
        for name in configs(layer.folder):
            file = layer.folder / f"{name}.yaml"
            if name in first:
                both = f"{short_path(first[name])} and {short_path(file)}"
                faults.append(
                    Fault(
                        key=name,
                        message=f"two files have this name: {both}",
                        where=short_path(file),
                        suggestion="rename one of them",
                    )
                )
            first.setdefault(name, file)
    return faults
