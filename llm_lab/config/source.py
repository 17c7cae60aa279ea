"""How Hydra reads our YAML files: through libyaml, with relative `file://` values made absolute."""

from __future__ import annotations

from pathlib import Path

from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra.plugins.config_source import ConfigLoadError, ConfigResult, ConfigSource
from omegaconf import OmegaConf

from llm_lab.config import documents
from llm_lab.config.file_uri import absolutize


class LabFileSource(FileConfigSource):
    """Hydra's file source, several times as fast, whose errors name the file and the line."""

    def file_of(self, config_path: str) -> Path:
        """The file that holds the config of that name in this folder."""
        return Path(self.path, self._normalize_file_name(config_path))

    def load_config(self, config_path: str) -> ConfigResult:
        """Raises ConfigLoadError caused by a DocumentError where the file is not a YAML mapping."""
        file = self.file_of(config_path)
        try:
            document = documents.read(file)
            if document.data is not None and not isinstance(document.data, dict):
                raise documents.DocumentError(file, 1, "the file must hold a mapping of keys to values")
        except documents.DocumentError as error:
            raise ConfigLoadError(f"{error.path}:{error.line}: {error.message}") from error
        return ConfigResult(
            config=OmegaConf.create(absolutize(document.data or {}, (file.parent, Path(self.path)))),
            path=f"{self.scheme()}://{self.path}",
            provider=self.provider,
            header=ConfigSource._get_header_dict(document.text[:512]),  # noqa: SLF001 - what Hydra's own sources call
        )
