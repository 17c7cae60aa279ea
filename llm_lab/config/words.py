"""The words of the command line: a verb, its own flags, Hydra's flags, and overrides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from llm_lab.config.nearest import did_you_mean
from llm_lab.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Flag:
    """One flag of ours: its help, and the name of its value where it takes one."""

    help: str
    value: str | None = None


@dataclass(frozen=True, kw_only=True)
class Verb:
    """One mode of the command line: what it does, its positional words, its flags."""

    help: str
    positionals: tuple[str, ...] = ()  # names in capitals; one in brackets may be left out
    flags: dict[str, Flag] = field(default_factory=dict)
    overrides: bool = True
    module: str = ""  # of `llm_lab.modes`, where it is not called like the verb


VERBS: dict[str, Verb] = {
    "list": Verb(
        help="show what can be chosen; one group with GROUP", positionals=("[GROUP]",), overrides=False
    ),
    "show": Verb(help="print the composed config with the origin of every value"),
    "check": Verb(
        help="tell everything that is wrong with a config, without starting it",
        flags={"--deep": Flag(help="import what it names as well, and fit the arguments to it")},
    ),
    "schema": Verb(
        help="write JSON Schemas of all choices, for editors",
        flags={"--output": Flag(help="the folder to write to (default: .schema)", value="DIR")},
        overrides=False,
    ),
    "train": Verb(help="train, test, save and report; the verb where none is given"),
    "evaluate": Verb(help="test the model of a run again", positionals=("RUN",)),
    "predict": Verb(
        help="label a CSV, JSONL or text file with the model of a run",
        positionals=("RUN",),
        flags={
            "--input": Flag(help="the file to read; - is standard input", value="FILE"),
            "--output": Flag(help="the file to write (default: standard output)", value="FILE"),
            "--column": Flag(help="the column that holds the text", value="NAME"),
        },
    ),
    "resume": Verb(help="go on with a run that was interrupted", positionals=("RUN",)),
    "reproduce": Verb(
        help="run an experiment, or a run, again: is its figure within tolerance?",
        positionals=("RUN|EXPERIMENT",),
    ),
    "compare": Verb(
        help="the difference of two runs, or of two experiments over their seeds, with its interval",
        positionals=("RUN|EXPERIMENT", "RUN|EXPERIMENT"),
        flags={"--seeds": Flag(help="how many of each experiment (default: as its figure has)", value="N")},
        overrides=False,
    ),
    "graph": Verb(
        help="a knowledge graph: stats, validate, find, query, convert, entail; build one from a table or from data=",
        positionals=("ACTION", "[GRAPH]", "[NAME]"),
        flags={
            "--query": Flag(help="SPARQL to answer; @FILE reads it from a file", value="TEXT"),
            "--seconds": Flag(help="query: when it is ended (default: 60)", value="N"),
            "--output": Flag(help="the file to write; its suffix tells the format", value="FILE"),
            "--format": Flag(help="of the output, where its suffix tells another", value="NAME"),
            "--semantics": Flag(help="entail: rdfs, owl_rl (default) or rdfs_owl_rl", value="NAME"),
            "--subject": Flag(help="build: the column that holds a row's entity", value="COLUMN"),
            "--entities": Flag(help="build: columns whose values are entities, with commas", value="NAMES"),
            "--graph": Flag(help="build: the graph whose entities are looked for in texts", value="GRAPH"),
            "--encoder": Flag(
                help="build: a text encoder that chooses among entities of one name by the text",
                value="MODEL",
            ),
            "--classes": Flag(help="build: look in texts for the names of its classes as well"),
            "--tagger": Flag(help="build: a run of token classification that finds more", value="RUN"),
        },
    ),
    "results": Verb(
        help="measure the experiments that have no figure yet, and write the table of all of them",
        flags={
            "--only": Flag(help="experiments to measure, with commas; a pack's too", value="NAMES"),
            "--dry": Flag(help="run nothing: take in the runs that are there, say what is missing"),
            "--output": Flag(help="the folder of results.json and results.md (default: docs)", value="DIR"),
        },
        overrides=False,
        module="results_table",
    ),
}
OUTSIDE = ("experiment", "debug", "size", "ablate")  # groups outside the root's defaults: always with a plus
DEFAULT = "train"
EMPTY = "list"


@dataclass(frozen=True, kw_only=True)
class Words:
    """A parsed command line; `hydra_flags` are Hydra's own, `overrides` everything else in order."""

    verb: str
    positionals: tuple[str, ...] = ()
    flags: dict[str, str | bool] = field(default_factory=dict)  # by name without the dashes
    overrides: tuple[str, ...] = ()
    hydra_flags: tuple[str, ...] = ()
    config_name: str | None = None
    config_dir: str | None = None
    multirun: bool = False
    help: bool = False
    informs: bool = False  # Hydra prints something and runs nothing: --cfg, --info, --shell-completion, ...

    @property
    def chooses_pipeline(self) -> bool:
        """Whether a pipeline is chosen, several runs in a row."""
        return any(word.lstrip("+").startswith("pipeline=") for word in self.overrides)


def parse(argv: Sequence[str]) -> Words:
    """Split the command line.

    Raises:
        ConfigError: an unknown verb or flag, a missing or surplus word; says what is nearest.
    """
    rest = list(argv)
    name = EMPTY if not rest else DEFAULT
    if rest and _is_bare(rest[0]):
        name = rest.pop(0)
        if name not in VERBS:
            raise ConfigError(f"`{name}` is not a verb; {did_you_mean(name, VERBS)}")
    flags, rest = _own_flags(name, rest)
    positionals, rest = _positionals(name, rest, asks_help="--help" in rest or "-h" in rest)
    return _with_hydra_flags(name, positionals, flags, rest)


def _is_bare(word: str) -> bool:
    return "=" not in word.partition("?")[0] and word[:1] not in {"-", "+", "~", ""}


def _own_flags(name: str, words: list[str]) -> tuple[dict[str, str | bool], list[str]]:
    """Take our flags, `--input FILE` or `--input=FILE`, out of the words."""
    known, found, rest = VERBS[name].flags, dict[str, str | bool](), list[str]()
    queue = iter(words)
    for word in queue:
        key, equals, value = word.partition("=")
        flag = known.get(key)
        if flag is None:
            rest.append(word)
        elif flag.value is None:
            found[key.lstrip("-")] = True
        else:
            text = value if equals else next(queue, None)
            if text is None:
                raise ConfigError(f"`{key}` needs a {flag.value}: {flag.help}")
            found[key.lstrip("-")] = text
    return found, rest


def _positionals(name: str, words: list[str], *, asks_help: bool) -> tuple[tuple[str, ...], list[str]]:
    verb, found, rest = VERBS[name], list[str](), list[str]()
    for word in words:
        bare = _is_bare(word) or (len(found) < len(verb.positionals) and Path(word).exists())
        (found if bare and len(found) < len(verb.positionals) else rest).append(word)
    missing = [item for item in verb.positionals[len(found) :] if not item.startswith("[")]
    if missing and not asks_help:
        raise ConfigError(f"`{name}` needs a {missing[0]}: python -m llm_lab {name} {missing[0]}")
    return tuple(found), rest


def _with_hydra_flags(
    name: str, positionals: tuple[str, ...], flags: dict[str, str | bool], words: list[str]
) -> Words:
    """Let Hydra's own parser read the flags that are not ours, wherever they stand among the overrides."""
    if not any(word.startswith("-") for word in words):
        _refuse_bare(name, words)
        return Words(verb=name, positionals=positionals, flags=flags, overrides=tuple(words))
    if words in (["--help"], ["-h"]):  # the common case must not wait for Hydra's parser
        return Words(verb=name, positionals=positionals, flags=flags, hydra_flags=("--help",), help=True)
    from llm_lab.config.hydra_flags import read

    seen = read(words, own=[flag for verb in VERBS.values() for flag in verb.flags], shows=name == "show")
    if not seen.completes:
        _refuse_bare(name, seen.overrides)
    return Words(
        verb=name,
        positionals=positionals,
        flags=flags,
        overrides=tuple(seen.overrides),
        hydra_flags=tuple(seen.flags),
        config_name=seen.config_name,
        config_dir=seen.config_dir,
        multirun=seen.multirun,
        help=seen.help,
        informs=seen.informs,
    )


def _refuse_bare(name: str, words: Sequence[str]) -> None:
    """A word that sets nothing is a slip: an `=` or a space too many or too few."""
    for word in words:
        if _is_bare(word):
            near = did_you_mean(word, VERBS) if name == DEFAULT else ""
            near = near if near.startswith("did") else "an override looks like `key=value`"
            raise ConfigError(f"`{word}` is neither an override nor a flag of `{name}`; {near}")
        if word and not VERBS[name].overrides:
            raise ConfigError(f"`{name}` takes no overrides, but `{word}` is one")


def verbs_help() -> str:
    """The verbs with their words and flags, aligned, one a line."""
    rows = []
    for name, verb in VERBS.items():
        rows.append((" ".join((name, *verb.positionals)), verb.help))
        rows += [(f"  {key} {flag.value or ''}".rstrip(), flag.help) for key, flag in verb.flags.items()]
    width = max(len(left) for left, _ in rows)
    return "\n".join(f"  {left:<{width}}  {right}" for left, right in rows)


def verb_help(name: str) -> str:
    """The help of one verb."""
    verb = VERBS[name]
    words = " ".join(
        ("python -m llm_lab", name, *verb.positionals, *(["[key=value ...]"] if verb.overrides else []))
    )
    flags = [f"  {key} {flag.value or ''}".rstrip().ljust(20) + flag.help for key, flag in verb.flags.items()]
    return "\n".join([f"{name}: {verb.help}", "", f"usage: {words}", *flags, ""])
