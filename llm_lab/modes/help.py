"""`--help`: the verbs, what can be chosen, and Hydra's flags, without waiting for Hydra."""

from __future__ import annotations

from llm_lab.config.catalogue import EXPERIMENT, catalogue
from llm_lab.config.search_path import layers
from llm_lab.config.words import OUTSIDE, verbs_help

_FLAGS = """\
  --multirun, -m        run one job per combination of values: optimizer.lr=1e-3,1e-4
  --cfg job, -c job     print the composed config and stop; with --resolve, --package KEY
  --info, -i            print how the config was composed
  --config-dir DIR      look for configs in DIR first
  --hydra-help          Hydra's own help
  --shell-completion    install tab completion: eval "$(llm_lab -sc install=bash)\""""


def main() -> int:
    """Print the help of the whole command."""
    groups = catalogue(layers())
    names = [name for name in groups if not name.startswith("hydra")]
    width = max(map(len, names), default=0) + 1
    choices = {name: ", ".join(entry.name for entry in groups[name]) for name in names}
    rows = [f"  {('+' if name in OUTSIDE else '') + name:<{width}}  {choices[name]}" for name in names]
    example = groups.get(EXPERIMENT, [])
    first = f" +experiment={example[0].name}" if example else ""
    print(
        "llm_lab: experiments with language models, composed from YAML.\n\n"
        "usage: python -m llm_lab [VERB] [group=choice ...] [key=value ...] [flags]\n"
        f"       python -m llm_lab{first} optimizer.lr=1e-4\n\n"
        f"Verbs\n{verbs_help()}\n\nGroups\n" + "\n".join(rows) + f"\n\nHydra's flags\n{_FLAGS}\n\n"
        "`list` says what the choices are for; `show` prints a config and where each value comes from."
    )
    return 0
