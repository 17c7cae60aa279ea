"""How Hydra reads our YAML files: through libyaml, with relative `file://` values made absolute."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import hydra
from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra.core.object_type import ObjectType
from hydra.plugins.config_source import ConfigLoadError, ConfigResult, ConfigSource
from omegaconf import OmegaConf

from llm_lab.config import documents
from llm_lab.config.file_uri import absolutize


class LabFileSource(FileConfigSource):
    """Hydra's file source, several times as fast, whose errors name the file and the line."""

    @property
    def folder(self) -> Path:
        """The folder of this source."""
        return Path(self.path)

    def file_of(self, config_path: str) -> Path:
        """The file that holds the config of that name in this folder."""
        return self.folder / self._normalize_file_name(config_path)

    def load_config(self, config_path: str) -> ConfigResult:
        """Raises ConfigLoadError caused by a DocumentError where the file is not a YAML mapping."""
        file = self.file_of(config_path)
        try:
            document = documents.read(file).of_mapping()
        except documents.DocumentError as error:
            raise ConfigLoadError(f"{error.path}:{error.line}: {error.message}") from error
        return ConfigResult(
            config=OmegaConf.create(absolutize(document.data or {}, (file.parent, self.folder))),
            path=f"{self.scheme()}://{self.path}",
            provider=self.provider,
            header=ConfigSource._get_header_dict(document.text[:512]),  # noqa: SLF001 - what Hydra's own sources call
        )


# Our launchers' files are checked against their plugins' schemas, in each process of a job, which is as it should be.
warnings.filterwarnings("ignore", message=r"\s*'hydra/launcher/\w+' is validated against ConfigStore schema")
# A job's process restores Hydra's registry first and scans the plugins then: of a scheme that is taken, Hydra
# compares the class by its name, and lets one of the same name be.
LabFileSource.__name__ = FileConfigSource.__name__


class HydraSource(LabFileSource):
    """Hydra's own configs, `pkg://hydra.conf`, read as the files they are."""

    PATH = "pkg://hydra.conf"

    def __init__(self, provider: str, path: str) -> None:
        ConfigSource.__init__(self, provider, path)

    @staticmethod
    def scheme() -> str:
        return "pkg"

    @property
    def folder(self) -> Path:
        return Path(hydra.__file__).parent / "conf"

    def is_group(self, config_path: str) -> bool:
        return (self.folder / config_path).is_dir()

    def is_config(self, config_path: str) -> bool:
        return self.file_of(config_path).is_file()

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        found: list[str] = []
        for file in sorted(os.listdir(self.folder / config_path)):  # noqa: PTH208 - names are what is wanted
            self._list_add_result(found, f"{config_path}/{file}", file, results_filter)
        return sorted(set(found))
