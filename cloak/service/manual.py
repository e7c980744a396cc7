"""/docs: the OpenAPI description as one page, without scripts and without assets from elsewhere."""

from collections.abc import Iterable
from html import escape
from typing import Any

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "X-Content-Type-Options": "nosniff",
}

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1b1b1b }
h2 { margin-top: 2.5rem; border-top: 1px solid #ccc; padding-top: 1rem }
code { background: #f2f2f2; padding: .1em .3em }
table { border-collapse: collapse; width: 100%; margin-bottom: 1.5rem }
th, td { text-align: left; vertical-align: top; padding: .3rem .8rem .3rem 0 }
th { font-weight: 600 } td { border-top: 1px solid #e5e5e5 } .method { color: #0a6640; text-transform: uppercase }
@media (prefers-color-scheme: dark) { body { background: #161616; color: #e8e8e8 } code { background: #2a2a2a }
  .method { color: #6fd3a4 } h2, td { border-color: #444 } }
"""


def page(description: dict[str, Any]) -> str:
    """The page of an OpenAPI description."""
    info = description["info"]
    operations = "".join(
        _operation(path, method, operation)
        for path, methods in description["paths"].items()
        for method, operation in methods.items()
    )
    title = escape(f"{info['title']} {info['version']}")
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style>'
        f"<h1>{title}</h1><p>{escape(info['description'])} The same for machines: "
        f'<a href="openapi.json">openapi.json</a>.</p>{operations}</html>'
    )


def _operation(path: str, method: str, operation: dict[str, Any]) -> str:
    parts = [
        f'<h2><span class="method">{escape(method)}</span> <code>{escape(path)}</code></h2>',
        f"<p>{escape(operation.get('description', operation.get('summary', '')))}</p>",
    ]
    if body := operation.get("requestBody"):
        parts.append(f"<p>Body: {escape(body['description'])}</p>")
    if parameters := operation.get("parameters"):
        choices = [(str(p["name"]), _kind(p["schema"]), str(p.get("description", ""))) for p in parameters]
        parts.append(_table(("parameter", "values", "meaning"), choices))
    answers = [
        (str(status), str(answer.get("description", "")), ", ".join(answer.get("content", ())))
        for status, answer in operation["responses"].items()
    ]
    parts.append(_table(("status", "meaning", "content"), answers))
    return "".join(parts)


def _kind(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(kind for option in schema["anyOf"] if (kind := _kind(option)) != "null")
    if "enum" in schema:
        return ", ".join(map(str, schema["enum"]))
    bounds = f" {schema['minimum']} to {schema['maximum']}" if {"minimum", "maximum"} <= schema.keys() else ""
    return str(schema.get("type", "")) + bounds


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    cells = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><tr>{''.join(f'<th>{escape(name)}</th>' for name in head)}</tr>{cells}</table>"
