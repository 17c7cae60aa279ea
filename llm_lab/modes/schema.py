"""Write JSON Schemas of all choices, so that an editor completes keys and marks what is wrong."""

from __future__ import annotations

import json
import os
from pathlib import Path

from llm_lab.config.json_schema import schemas
from llm_lab.config.search_path import configs, layers
from llm_lab.config.words import Words

FOLDER = ".schema"
HINT = "# yaml-language-server: $schema={}"


def main(words: Words) -> int:
    """Write one file per schema, and print the line that binds an own config file to its schema."""
    folder = Path(str(words.flags.get("output", FOLDER)))
    found = layers()
    written = schemas(found)
    for name, schema in written.items():
        file = folder / f"{name}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(schema, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"wrote {len(written)} schemas to {folder}; put this line on top of a file to bind it:")
    for layer in found:
        for config in configs(layer.folder):
            bound = config if config in written else config.partition("/")[0]
            if bound in written:
                home = (layer.folder / f"{config}.yaml").parent
                path = Path(os.path.relpath(folder / f"{bound}.json", home)).as_posix()
                print(f"{config}.yaml: {HINT.format(path)}")
    return 0
