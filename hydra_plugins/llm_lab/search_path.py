"""Adds the user's `conf/` and packs to Hydra's search path, in our own application and in no other."""

from __future__ import annotations

from hydra._internal.sources_registry import SourcesRegistry
from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin

from llm_lab.config.search_path import conf_root, layers


class LabSearchPath(SearchPathPlugin):
    """Hydra calls this in every application of the environment; only ours has our folder as `main`."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Append one entry per layer, and read YAML files by our rules."""
        root = str(conf_root())
        if not any(entry.provider == "main" and entry.path == root for entry in search_path.get_path()):
            return
        from llm_lab.config.resolvers import register
        from llm_lab.config.source import LabFileSource

        register()
        SourcesRegistry.instance().types["file"] = LabFileSource
        for layer in layers()[1:]:
            search_path.append(layer.provider, f"file://{layer.folder}")
