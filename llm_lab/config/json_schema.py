"""JSON Schemas (draft 2020-12) of the configs, from the signatures they must fit, for editors."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from llm_lab.config.catalogue import Entry, catalogue
from llm_lab.config.schema import GROUPS, ROOT, injected_at
from llm_lab.config.search_path import Layer
from llm_lab.config.signature import Parameter, Signature, signature_of
from llm_lab.config.sources_of import whole
from llm_lab.config.types import Type
from llm_lab.config.words import OUTSIDE

DIALECT = "https://json-schema.org/draft/2020-12/schema"
Schema = dict[str, Any]
_KINDS = {"none": "null", "bool": "boolean", "int": "integer", "float": "number", "str": "string"}
_TEXT = {
    "type": "string",
    "pattern": r"^(\?\?\?|.*\$\{.*\}.*)$",
}  # an interpolation, or a value still to come


def schemas(found: Sequence[Layer]) -> dict[str, Schema]:
    """Every schema by its name: `config` for the root, `experiment`, each group, and each choice of it."""
    groups = catalogue(found)
    written: dict[str, Schema] = {}
    for group, entries in groups.items():
        if group.split("/")[0] in ("hydra", *OUTSIDE):
            continue
        for entry in entries:
            written[f"{group}/{entry.name}"] = _choice(group, entry)
        written[group] = _titled(f"any choice of {group}", _group(group, entries))
    known = {group: {"$ref": f"{group}.json"} for group in written if "/" not in group}
    written["config"] = _titled("the root of a config", _root(known, list(groups), required=True))
    for group in OUTSIDE:
        written[group] = _titled(f"a file of {group}", _root(known, list(groups), required=False))
    return written


def _titled(title: str, schema: Schema) -> Schema:
    return {"$schema": DIALECT, "title": title, **schema}


def _root(known: Mapping[str, Schema], groups: Iterable[str], *, required: bool) -> Schema:
    """The root keys; a file of experiments sets only some of them."""
    signature = signature_of(ROOT)
    parameters = signature.parameters if signature is not None else {}
    properties = {name: _property(item) for name, item in parameters.items()}
    for name, group in GROUPS.items():
        if group.plain and (plain := signature_of(group.plain)) is not None:
            properties[name] = {"anyOf": [_object(plain, (), needed=required), {"type": "null"}]}
    properties |= {
        name: {"anyOf": [item, {"type": "null"}]} for name, item in known.items() if name in properties
    }
    node: Schema = {
        "type": "object",
        "properties": {"defaults": _defaults(groups), **properties, "hydra": {}},
    }
    return {**node, "additionalProperties": False}


def _defaults(groups: Iterable[str]) -> Schema:
    """A defaults list: names, or one group with its choice per entry."""
    names = sorted({*groups, *GROUPS})
    pattern = "^(override )?(optional )?/?(" + "|".join(names) + r"|hydra/\w+)(@.*)?$"
    entry = {
        "type": "object",
        "maxProperties": 1,
        "patternProperties": {pattern: {}},
        "additionalProperties": False,
    }
    return {"type": "array", "items": {"anyOf": [{"type": "string"}, entry]}}


def _choice(group: str, entry: Entry) -> Schema:
    """One file: the nodes in it by their own targets."""
    head = group.split("/", maxsplit=1)[0]
    # A group inside of another builds what that one does, and has no plain values of its kind.
    key = head if group == head or "_target_" in entry.data else group
    schema = _node(entry.data, key, mapping=key in GROUPS and GROUPS[key].mapping)
    described = {"description": entry.comment} if entry.comment else {}
    return {**_titled(f"{group}={entry.name}", schema), **described}


def _node(data: Mapping[str, Any], key: str, *, mapping: bool = False) -> Schema:
    """A mapping as it may be written where `data` stands: by its target, or by name."""
    if mapping:
        nodes = {name: _node(item, f"{key}.{name}") for name, item in data.items() if isinstance(item, dict)}
        names = {name: {"anyOf": [item, {"type": "null"}]} for name, item in nodes.items()}
        return {"type": "object", "properties": {"defaults": {}, **names}, "additionalProperties": {}}
    target = data.get("_target_")
    plain = GROUPS[key].plain if key in GROUPS else ""
    signature = (
        signature_of(target or plain) if isinstance(target or plain, str) and (target or plain) else None
    )
    if signature is None:
        return {"type": "object"}
    schema = _object(signature, injected_at(key))
    if isinstance(target, str):
        schema["properties"] = {
            "_target_": {"const": target},
            "order": {"type": "integer"},
            **schema["properties"],
        }
        schema |= _described(target)
    schema["properties"]["defaults"] = {"type": "array"}
    return schema


def _described(target: str) -> Schema:
    node = whole(target)
    doc = ast.get_docstring(node) if node is not None else None
    return {"description": " ".join(doc.split("\n\n")[0].split())} if doc else {}


def _group(group: str, entries: Sequence[Entry]) -> Schema:
    """What any choice of the group takes: in an experiment the choice is not known from the file alone."""
    properties: Schema = {}
    closed = True
    for schema in (_choice(group, entry) for entry in entries):
        for name, item in schema.get("properties", {}).items():
            properties[name] = _merged(properties.get(name), item)
        closed = closed and schema.get("additionalProperties") is False
    properties["_target_"] = {"type": "string"}
    return {"type": "object", "properties": properties, **({"additionalProperties": False} if closed else {})}


def _merged(one: Schema | None, other: Schema) -> Schema:
    if one is None or one == other:
        return other
    options = [*(one.get("anyOf", [one])), *(other.get("anyOf", [other]))]
    return {"anyOf": [item for place, item in enumerate(options) if item not in options[:place]]}


def _object(signature: Signature, injected: Sequence[str], *, needed: bool = False) -> Schema:
    parameters = {name: item for name, item in signature.parameters.items() if name not in injected}
    schema: Schema = {
        "type": "object",
        "properties": {name: _property(item) for name, item in parameters.items()},
    }
    if needed:
        schema["required"] = [name for name, item in parameters.items() if item.required]
    return schema if signature.open else {**schema, "additionalProperties": False}


def _property(parameter: Parameter) -> Schema:
    """A value of the parameter's type, or an interpolation that will become one."""
    schema = (
        {"anyOf": [*_options(parameter.type), _TEXT]}
        if parameter.type.kind not in ("any", "str")
        else _json(parameter.type)
    )
    plain = isinstance(parameter.default, str | int | float | bool)
    return {**schema, "default": parameter.default} if plain and not parameter.required else schema


def _options(kind: Type) -> Iterator[Schema]:
    for option in kind.options if kind.kind == "union" else (kind,):
        yield _json(option)


def _json(kind: Type) -> Schema:
    if kind.kind == "any":
        return {}
    if kind.kind == "literal":
        return {"enum": list(kind.values)}
    if kind.kind == "union":
        return {"anyOf": list(_options(kind))}
    if kind.kind == "list":
        return {"type": "array", **({"items": _json(kind.item)} if kind.item is not None else {})}
    if kind.kind == "mapping":
        return {
            "type": "object",
            **({"additionalProperties": _json(kind.item)} if kind.item is not None else {}),
        }
    return {"type": _KINDS[kind.kind]}
