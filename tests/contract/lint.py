"""Lints docs/openapi.json: valid OpenAPI 3.1, everything named and described once, every example true, nothing unused."""

import json
import re
import sys
from pathlib import Path

from jsonschema import Draft202012Validator, FormatChecker
from openapi_spec_validator import validate
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

DOCUMENT = json.loads((Path(__file__).parents[2] / "docs/openapi.json").read_text())
COMPONENTS = DOCUMENT["components"]
REGISTRY = Registry().with_resource("urn:document", Resource(DOCUMENT, DRAFT202012))
METHODS = {"get", "put", "post", "patch", "delete"}
found = []


def complain(where, what):
    found.append(f"{where}: {what}")


def at(pointer):
    """A validator for the schema at a place of the document."""
    return Draft202012Validator({"$ref": f"urn:document#{pointer}"}, registry=REGISTRY, format_checker=FormatChecker())


def escaped(*parts):
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


def references(value):
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def check_content(where, pointer, content, must_have_example):
    for kind, media in content.items():
        if must_have_example and "example" not in media:
            complain(where, f"{kind} has no example")
        if "example" in media:
            for error in at(pointer + escaped(kind, "schema")).iter_errors(media["example"]):
                complain(where, f"the example at {error.json_path}: {error.message}")


def check_operation(path, method, operation, tags):
    where = f"{method.upper()} {path}"
    pointer = escaped("paths", path, method)
    if not operation.get("summary") or operation["summary"].endswith("."):
        complain(where, "a summary without a full stop")
    if not re.fullmatch("[a-z][a-z_]*", operation.get("operationId", "")):
        complain(where, "an operationId in small letters")
    if len(operation.get("tags", [])) != 1 or operation["tags"][0] not in tags:
        complain(where, f"one of the tags {sorted(tags)}, not {operation.get('tags')}")
    named = set(re.findall(r"\{([^}]+)\}", path))
    given = {one["name"] for one in operation.get("parameters", []) if one["in"] == "path"}
    if named != given:
        complain(where, f"the path names {sorted(named)}, the parameters {sorted(given)}")
    for one in operation.get("parameters", []):
        if "schema" not in one or (one["in"] != "path" and not one.get("description")):
            complain(where, f"{one['name']} has no schema or no description")
    if "requestBody" in operation:
        content = operation["requestBody"]["content"]
        check_content(where, pointer + "/requestBody/content", content, True)
    for status, response in operation["responses"].items():
        if "$ref" not in response:
            if not response.get("description"):
                complain(where, f"{status} has no description")
            content = response.get("content", {})
            good = status.startswith("2") and "application/json" in content
            check_content(f"{where} {status}", pointer + escaped("responses", status, "content"), content, good)


used = set(references(DOCUMENT))
there = {f"#/components/{kind}/{name}" for kind, named in COMPONENTS.items() for name in named if kind != "securitySchemes"}
for reference in sorted(used - there):
    complain("$ref", f"{reference} leads nowhere")
for component in sorted(there - used):
    complain("components", f"{component} is not used")
if not used - there:
    validate(DOCUMENT)
tags = {tag["name"] for tag in DOCUMENT["tags"] if tag.get("description")}
ids, used_tags = [], set()
for path, operations in DOCUMENT["paths"].items():
    for method in METHODS & operations.keys():
        check_operation(path, method, operations[method], tags)
        ids.append(operations[method].get("operationId"))
        used_tags.update(operations[method].get("tags", []))
for twice in {one for one in ids if ids.count(one) > 1}:
    complain("operationId", f"{twice} is there twice")
for unused in tags - used_tags:
    complain("tags", f"no operation has {unused}")

for name, schema in COMPONENTS["schemas"].items():
    for example in schema.get("examples", []):
        for error in at(escaped("components", "schemas", name)).iter_errors(example):
            complain(name, f"its example {example!r}: {error.message}")

print("\n".join(found) or f"{len(ids)} operations and {len(there)} components are as they should be")
sys.exit(1 if found else 0)
