"""Words that choose: `model=minilm`, `+experiment=sentiment`, `~peft`, checked against what there is."""

from __future__ import annotations

import re
from dataclasses import dataclass

from hydra.core.object_type import ObjectType
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig

from llm_lab.config.fault import Fault
from llm_lab.config.loader import RecordingLoader, defaults_line, file_of
from llm_lab.config.nearest import did_you_mean, nearest
from llm_lab.config.words import OUTSIDE

_NOT_IN_DEFAULTS = re.compile(r"(?:In '(?P<config>[^']+)': )?Could not override '(?P<key>[^']+)'")
_NOT_DELETED = re.compile(r"Could not delete '(?P<key>[^'=]+)")
_TWICE = re.compile(r"Multiple values for (?P<key>[^.\s]+)\.|(?P<again>\S+) appears more than once")


@dataclass(kw_only=True)
class Choice:
    """A word that chooses, and the word that Hydra gets in its place."""

    override: Override
    text: str
    refused: bool = False

    @property
    def repaired(self) -> bool:
        """Whether a fault was told about it already."""
        return self.text != self.override.input_line


def is_choice(loader: RecordingLoader, override: Override) -> bool:
    """Whether Hydra reads this word as a choice of a group: by the rule of its own defaults list."""
    value = None if override.is_sweep_override() else override.value()
    return not isinstance(value, dict) and loader.repository.group_exists(override.key_or_group)


def repair(loader: RecordingLoader, override: Override, faults: list[Fault]) -> str | None:
    """The word as Hydra may have it: the nearest choice for an unknown one, None where nothing is near.

    The rest of the config is then checked as if the user had taken the proposal.
    """
    word, group = str(override.input_line), override.key_or_group
    if override.is_delete():
        return word
    value = override.value()
    names = value if isinstance(value, list) else [value]
    if names == [None]:
        return as_hydra(override)
    right = [_choice(loader, override, name, faults) for name in names if name is not None]
    if all(isinstance(name, str) for name in names) and right == names:
        return word
    kept = [name for name in right if name is not None]
    if not kept and None not in names:
        return None
    text = f"[{','.join(kept)}]" if isinstance(value, list) else kept[0]
    return f"{override.get_key_element()}={text}" if group else None


def as_hydra(override: Override) -> str:
    """The choice in Hydra's words, which has no `logger=null`."""
    null = not override.is_delete() and override.value() is None
    return f"~{override.key_or_group}" if null else str(override.input_line)


def _choice(loader: RecordingLoader, override: Override, name: object, faults: list[Fault]) -> str | None:
    group = override.key_or_group
    if isinstance(name, str) and loader.repository.config_exists(f"{group}/{name}"):
        return name
    options = loader.repository.get_group_options(group, ObjectType.CONFIG)
    form = f"{override.get_key_element()}={{}}"
    if group in OUTSIDE and not override.is_add():
        form = f"+{group}={{}}"
    faults.append(
        Fault(
            key=group,
            message=f"`{name}` is not a choice of `{group}`",
            where=str(override.input_line),
            suggestion=did_you_mean(str(name), options, form=form),
        )
    )
    return nearest(str(name), options)


def compose_groups(
    loader: RecordingLoader, config_name: str, choices: list[Choice], extra: list[str], faults: list[Fault]
) -> DictConfig:
    """Compose what the words choose, dropping each word or defaults entry that Hydra refuses.

    Raises:
        HydraException: Hydra refuses for a reason that no single word or file entry stands for.
    """
    for _ in range(len(choices) + 32):
        try:
            return loader.compose(config_name, [*extra, *(item.text for item in choices)])
        except HydraException as error:
            if not _drop(str(error), loader, choices, faults):
                raise
    raise HydraException("the defaults lists cannot be composed")


def _drop(message: str, loader: RecordingLoader, choices: list[Choice], faults: list[Fault]) -> bool:
    """Turn Hydra's complaint into a fault and take its cause away; False where the cause is not known."""
    found = _NOT_IN_DEFAULTS.search(message) or _NOT_DELETED.search(message) or _TWICE.search(message)
    if found is None:
        return False
    parts = found.groupdict()
    key, config = parts.get("key") or parts.get("again") or "", parts.get("config")
    if config is not None:
        return _drop_entry(key, config, loader, faults)
    choice = next((item for item in choices if item.text.lstrip("+~").split("=")[0] == key), None)
    if choice is None:
        return False
    if choice.refused or choice.override.is_delete():
        choices.remove(choice)
    if not choice.refused:
        faults += [] if choice.repaired else [_refused(key, choice)]
        bare = choice.text.lstrip("+")
        choice.text, choice.refused = bare if choice.text.startswith("+") else f"+{bare}", True
    return True


def _refused(key: str, choice: Choice) -> Fault:
    bare, override = choice.text.lstrip("+~"), choice.override
    if override.is_delete():
        message, near = f"`{key}` is not among the chosen groups, so it cannot be taken away", ""
    elif override.is_add():
        message, near = f"`{key}` is chosen already", f"did you mean `{bare}`?"
    else:
        message, near = (
            f"`{key}` is not chosen by default, so there is nothing to override",
            f"did you mean `+{bare}`?",
        )
    return Fault(key=key, message=message, where=str(override.input_line), suggestion=near)


def _drop_entry(key: str, config: str, loader: RecordingLoader, faults: list[Fault]) -> bool:
    if (config, key) in loader.repository.dropped:
        return False
    loader.repository.dropped.add((config, key))
    file = file_of(loader.sources, config)
    groups = loader.list_groups("")
    faults.append(
        Fault(
            key=key,
            message=f"`{config}` overrides the group `{key}`, which is not in the defaults list",
            where=defaults_line(file, key) if file else config,
            suggestion=did_you_mean(key, [group for group in groups if group != key]),
        )
    )
    return True
