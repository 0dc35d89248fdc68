"""Generator of docs/reference/api.md: an introduction, then each operation of the schema with a working call."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypedDict

from django.conf import settings
from drf_spectacular.generators import SchemaGenerator

Schema = dict[str, Any]
DOCS = Path(settings.BASE_DIR) / "docs" / "reference"
INTRO, EXAMPLES, TARGET = DOCS / "api-intro.md", DOCS / "api-examples.json", DOCS / "api.md"
BASE = "http://127.0.0.1:8000"
EVERYWHERE = {"401", "406", "413", "415", "429", "503"}  # described once, in the introduction


class Example(TypedDict, total=False):
    """One call of docs/reference/api-examples.json."""

    section: str  # the operationId that it is shown under
    method: str
    path: str
    body: dict[str, Any]
    status: int  # expected status of the response
    keep: dict[str, list[str | int]]  # shell variables to set, each with its path in the response


def examples() -> list[Example]:
    """Load the example calls, in an order in which they can be run one after another."""
    found: list[Example] = json.loads(EXAMPLES.read_text())
    return found


def curl(example: Example) -> str:
    """Format the call as a curl command line."""
    quote = '"' if "$" in example["path"] else "'"
    parts = ["curl -s"]
    if example["method"] not in ("GET", "POST"):
        parts.append(f"-X {example['method']}")
    parts += [f"{quote}{BASE}{example['path']}{quote}", '-H "Authorization: Bearer $KEY"']
    if "body" in example:
        parts += ["-H 'Content-Type: application/json'", f"-d '{json.dumps(example['body'])}'"]
    return " ".join(parts)


def page() -> str:
    """Return the text of docs/reference/api.md."""
    schema = SchemaGenerator().get_schema(request=None, public=True)
    parts = ["<!-- made by `make api-docs` from api-intro.md, api-examples.json and the schema -->", INTRO.read_text()]
    for tag in schema["tags"]:
        parts += [f"## {tag['name'].capitalize()}", tag["description"]]
        for section in dict.fromkeys(example["section"] for example in examples()):
            path, method, operation = _find(schema, section)
            if tag["name"] in operation["tags"]:
                parts += _operation(path, method, operation)
    parts.append("## Bodies")
    for name, body in schema["components"]["schemas"].items():
        if body["type"] == "object":
            parts += [f"### {name}", body.get("description", ""), _fields(body)]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def _find(schema: Schema, name: str) -> tuple[str, str, Schema]:
    return next(
        (path, method, operation)
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
        if operation["operationId"] == name
    )


def _operation(path: str, method: str, operation: Schema) -> Iterator[str]:
    yield f"### {operation['summary']}"
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    yield f"{method.upper()} `{path}`" + (f" with {_type(body)}" if body else "")
    yield operation.get("description", "")
    if rows := [_parameter(one) for one in operation.get("parameters", []) if one["in"] != "path"]:
        yield "\n".join(["| parameter | type | meaning |", "|---|---|---|", *rows])
    answers = ["| answer | body | when |", "|---|---|---|"]
    for status, answer in operation["responses"].items():
        if status not in EVERYWHERE or "Error" not in _type(_body(answer)):
            answers.append(f"| {status} | {_type(_body(answer))} | {answer['description']} |")
    yield "\n".join(answers)
    calls = [curl(example) for example in examples() if example["section"] == operation["operationId"]]
    yield "\n".join(["```bash", *calls, "```"])


def _body(answer: Schema) -> Schema:
    body: Schema = answer["content"]["application/json"]["schema"]
    return body


def _parameter(one: Schema) -> str:
    return f"| `{one['name']}` ({one['in']}) | {_type(one['schema'])} | {one.get('description', '')} |"


def _fields(body: Schema) -> str:
    rows = ["| field | type | meaning |", "|---|---|---|"]
    for name, field in body.get("properties", {}).items():
        mark = "" if name in body.get("required", []) else "?"
        rows.append(f"| `{name}`{mark} | {_type(field)} | {field.get('description', '')} |")
    return "\n".join(rows)


def _type(schema: Schema) -> str:
    """Describe a schema in a few words."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        return f"[{name}](#{name.lower()})"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "oneOf" in schema:
        return " or ".join(_type(one) for one in schema["oneOf"])
    kinds = schema.get("type", "any")
    if isinstance(kinds, list):
        return " or ".join(_type({**schema, "type": kind}) for kind in kinds)
    if kinds == "array":
        return f"array of {_type(schema['items'])}" if schema.get("items") else "array"
    if kinds == "object" and schema.get("additionalProperties"):
        return f"object of {_type(schema['additionalProperties'])}"
    return str(schema.get("format") or kinds)
