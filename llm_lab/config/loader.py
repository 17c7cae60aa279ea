"""Hydra's config loader, made to go on after a bad file so that all faults can be told at once."""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from pathlib import Path

from hydra import version
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import CachingConfigRepository, ConfigRepository, IConfigRepository
from hydra._internal.config_search_path_impl import ConfigSearchPathImpl
from hydra._internal.core_plugins import basic_launcher, basic_sweeper  # noqa: F401 - they store their configs
from hydra._internal.core_plugins.structured_config_source import StructuredConfigSource
from hydra._internal.sources_registry import SourcesRegistry
from hydra._internal.utils import create_config_search_path
from hydra.core.config_search_path import ConfigSearchPath, SearchPathQuery
from hydra.core.default_element import ConfigDefault, GroupDefault, InputDefault, ResultDefault
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.plugins.config_source import ConfigLoadError, ConfigResult, ConfigSource
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from llm_lab.config.documents import DocumentError
from llm_lab.config.documents import read as read_document
from llm_lab.config.fault import Fault, Origin
from llm_lab.config.nearest import did_you_mean
from llm_lab.config.pack_rules import searchpath_faults
from llm_lab.config.search_path import Layer
from llm_lab.config.source import HydraSource, LabFileSource

VERSION_BASE = "1.3"


class TolerantRepository(ConfigRepository):
    """Reads configs like Hydra's, but notes a broken or missing one and puts an empty one in its place."""

    def __init__(self, config_search_path: ConfigSearchPath) -> None:
        super().__init__(config_search_path)
        self.faults: list[Fault] = []
        self.dropped: set[tuple[str, str]] = set()  # defaults entries that Hydra refused, by config and group
        self.asked_plugins: set[str] = set()  # names under `hydra/` that only a plugin could know

    def __deepcopy__(self, memo: dict[int, object]) -> TolerantRepository:
        """Hydra copies the repository before each composition; the notes must stay in one place."""
        copied = TolerantRepository.__new__(TolerantRepository)
        copied.__dict__ = {**self.__dict__, "sources": list(self.sources)}
        memo[id(self)] = copied
        return copied

    def initialize_sources(self, config_search_path: ConfigSearchPath) -> None:
        self.sources = [_source(str(item.provider), str(item.path)) for item in config_search_path.get_path()]

    def config_exists(self, config_path: str) -> bool:
        return super().config_exists(config_path) or self._ask_plugins(config_path)

    def group_exists(self, config_path: str) -> bool:
        return super().group_exists(config_path) or self._ask_plugins(config_path)

    def _ask_plugins(self, config_path: str) -> bool:
        if config_path.startswith("hydra/"):
            self.asked_plugins.add(config_path)
        return False

    def load_config(self, config_path: str) -> ConfigResult | None:
        try:
            result = super().load_config(config_path)
        except (ConfigLoadError, ValueError) as error:
            self.faults.append(_broken(config_path, error, self.sources))
            return _empty(config_path)
        if result is not None and result.defaults_list:
            file = file_of(self.sources, config_path)
            kept = [item for item in result.defaults_list if self._exists(config_path, file, item)]
            result.defaults_list = kept
        return result

    def _exists(self, config_path: str, file: Path | None, item: InputDefault) -> bool:
        """Whether what a defaults entry names is there; a fault with its file and line where it is not."""
        if isinstance(item, ConfigDefault):
            name = str(item.path)
            if item.is_self() or "${" in name:
                return True
            path = name.lstrip("/") if name.startswith("/") else _beside(config_path, name)
            if self.config_exists(path):
                return True
            group, _, choice = path.rpartition("/")
            self._missing(config_path, file, group, choice)
            return False
        return not isinstance(item, GroupDefault) or self._choice_exists(config_path, file, item)

    def _choice_exists(self, config_path: str, file: Path | None, item: GroupDefault) -> bool:
        group = str(item.group)
        group = group.lstrip("/") if group.startswith("/") else _beside(config_path, group)
        if (config_path, group) in self.dropped:
            return False
        choices = item.value if isinstance(item.value, list) else [item.value]
        missing = [str(name) for name in choices if name and "${" not in name and name != "???"]
        missing = [name for name in missing if not self.config_exists(f"{group}/{name}")]
        for name in missing:
            if not item.optional:
                self._missing(config_path, file, group, name)
        return not missing or bool(item.optional)

    def _missing(self, config_path: str, file: Path | None, group: str, choice: str) -> None:
        options = self.get_group_options(group, ObjectType.CONFIG) if self.group_exists(group) else []
        message = f"`{choice}` is not a choice of `{group}`" if options else f"there is no group `{group}`"
        self.faults.append(
            Fault(
                key=group,
                message=f"{message} (a defaults entry of {config_path})",
                where=defaults_line(file, group, choice) if file else config_path,
                suggestion=did_you_mean(choice, options),
            )
        )


def _source(provider: str, path: str) -> ConfigSource:
    """The source of one entry of the search path; the common ones without the registry that plugins fill."""
    scheme = path.partition("://")[0] if "://" in path else "file"
    if path == HydraSource.PATH:
        return HydraSource(provider, path)
    if scheme == "file":
        return LabFileSource(provider, path)
    if scheme == "structured":
        return StructuredConfigSource(provider, path)
    Plugins.instance()
    return SourcesRegistry.instance().resolve(scheme)(provider, path)


def _beside(config_path: str, name: str) -> str:
    """A relative defaults entry starts in the folder of the config that holds it."""
    folder = config_path.rpartition("/")[0]
    return f"{folder}/{name}" if folder else name


def _empty(config_path: str) -> ConfigResult:
    return ConfigResult(
        provider="llm_lab",
        path=config_path,
        config=OmegaConf.create({}),
        header={"package": "_global_"},
        defaults_list=[],
    )


def _broken(config_path: str, error: Exception, sources: Sequence[ConfigSource]) -> Fault:
    cause = error.__cause__
    if isinstance(cause, DocumentError):
        return Fault(key=config_path, message=f"not valid YAML: {cause.message}", where=str(_place(cause)))
    file = file_of(sources, config_path)
    return Fault(
        key=config_path, message=str(error).split(": ", 1)[-1], where=str(Origin(file=file)) if file else ""
    )


def _place(error: DocumentError) -> Origin:
    return Origin(file=error.path, line=error.line)


def file_of(sources: Sequence[ConfigSource], config_path: str) -> Path | None:
    """The file that a config comes from, None where it is not one of ours (inside a package, a schema)."""
    for source in sources:
        if source.is_config(config_path):
            return source.file_of(config_path) if isinstance(source, LabFileSource) else None
    return None


def defaults_line(file: Path, group: str, choice: str = "") -> str:
    """`file:line` of the defaults entry that names the group, the file alone where no line does."""
    leaf = re.escape(group.rpartition("/")[2])
    wanted = re.compile(
        rf"^\s*-\s.*\b{leaf}(@[\w.]*)?\s*:.*{re.escape(choice)}|^\s*-\s*\S*{leaf}/{re.escape(choice)}"
    )
    try:
        text = read_document(file).text
    except DocumentError:
        return str(Origin(file=file))
    for number, line in enumerate(text.splitlines(), 1):
        if wanted.search(line):
            return str(Origin(file=file, line=number))
    return str(Origin(file=file))


class RecordingLoader(ConfigLoaderImpl):
    """Hydra's loader over a tolerant repository, that remembers the defaults list it composed."""

    def __init__(self, config_search_path: ConfigSearchPath, root: Path) -> None:
        self.config_search_path, self.root = config_search_path, root
        self.repository: TolerantRepository = TolerantRepository(config_search_path)
        self.defaults: list[ResultDefault] = []
        self.sources: list[ConfigSource] = list(self.repository.get_sources())

    def _compose_config_from_defaults_list(
        self, defaults: list[ResultDefault], repo: IConfigRepository
    ) -> DictConfig:
        self.defaults, self.sources = list(defaults), list(repo.get_sources())
        return super()._compose_config_from_defaults_list(defaults, repo)

    def _process_config_searchpath(
        self, config_name: str | None, parsed_overrides: list[Override], repo: CachingConfigRepository
    ) -> None:
        ours = None if self._names_search_paths(config_name) else config_name
        super()._process_config_searchpath(ours, parsed_overrides, repo)

    def _names_search_paths(self, config_name: str | None) -> bool:
        """Whether a root config that is not ours names search paths; Hydra imports a `pkg://` one at once."""
        faults = searchpath_faults(file_of(self.sources, config_name), self.root) if config_name else []
        self.repository.faults += [item for item in faults if item not in self.repository.faults]
        return bool(faults)

    def look_in(self, folders: object, config_name: str) -> None:
        """Look in the folders of `hydra.searchpath` too, that of the words or else of the root config."""
        if folders is None and not self._names_search_paths(config_name):
            loaded = self.repository.load_config(config_name)
            folders = OmegaConf.select(loaded.config, "hydra.searchpath") if loaded is not None else None
        if not isinstance(folders, Sequence) or isinstance(folders, str):
            return
        search_path = copy.deepcopy(self.config_search_path)
        schema = search_path.get_path().pop()  # Hydra wants it last
        for folder in folders:
            search_path.append("hydra.searchpath", str(folder))
        search_path.append(str(schema.provider), str(schema.path))
        self.repository.initialize_sources(search_path)

    def compose(self, config_name: str, words: list[str], run_mode: RunMode = RunMode.RUN) -> DictConfig:
        """Compose the groups that the words choose; raises HydraException at the first fault Hydra finds."""
        return self.load_configuration(config_name, words, run_mode, from_shell=True)

    def apply(self, override: Override, config: DictConfig) -> None:
        """Set one value by Hydra's own semantics; raises HydraException where Hydra would."""
        self._apply_overrides_to_config([override], config)


def open_loader(
    root: Path, found: Sequence[Layer], *, config_dir: str | None = None, plugins: bool = False
) -> RecordingLoader:
    """A loader over our layers and `--config-dir`.

    Args:
        root: our own configs, the first layer.
        found: all layers.
        config_dir: a folder that comes before the layers.
        plugins: let Hydra import every plugin that is installed; takes as long as all else together, and is
            needed only for a choice under `hydra/` that comes with one.

    Raises:
        HydraException: `--config-dir` names no folder.
    """
    version.setbase(VERSION_BASE)
    search_path = create_config_search_path(str(root)) if plugins else _light_search_path(root, found)
    if config_dir is not None:
        folder = Path(config_dir).absolute()
        if not folder.is_dir():
            raise HydraException(f"--config-dir: there is no folder {folder}")
        search_path.prepend("command-line", f"file://{folder}", SearchPathQuery(provider="schema", path=None))
    return RecordingLoader(search_path, root)


def _light_search_path(root: Path, found: Sequence[Layer]) -> ConfigSearchPath:
    """The search path that Hydra and our plugin make together."""
    search_path = ConfigSearchPathImpl()
    search_path.append("hydra", HydraSource.PATH)
    search_path.append("main", str(root))
    for layer in found[1:]:
        search_path.append(layer.provider, f"file://{layer.folder}")
    search_path.append("schema", "structured://")
    return search_path
