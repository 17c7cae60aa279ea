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
        for name in configs(layer.folder):
            schema = name if name in written else name.partition("/")[0]
            if schema in written:
                home = (layer.folder / f"{name}.yaml").parent
                print(
                    f"{name}.yaml: {HINT.format(Path(os.path.relpath(folder / f'{schema}.json', home)).as_posix())}"
                )
    return 0
