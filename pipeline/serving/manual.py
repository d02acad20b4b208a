"""What programs can ask, for people to read: a page without scripts, made of the OpenAPI document."""

from html import escape
from typing import Any

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}: for programs</title>
<style>
:root {{ color-scheme: light dark; font-family: system-ui, sans-serif; line-height: 1.5; }}
body {{ max-width: 820px; margin: 2rem auto; padding: 0 1rem; }}
h2 {{ font-family: ui-monospace, monospace; font-size: 1.1rem; margin-top: 2.5rem; }}
table {{ border-collapse: collapse; width: 100%; font-size: .9rem; }}
a {{ color: inherit; }}
td, th {{ border-bottom: 1px solid #8888; padding: .3rem .5rem .3rem 0; text-align: left; vertical-align: top; }}
</style>
</head>
<body>
<main>
<h1>{title}: for programs</h1>
<p>{about}</p>
<p>The same, for programs: <a href="openapi.json">OpenAPI</a>.</p>
{operations}
</main>
</body>
</html>
"""


def page(schema: dict[str, Any]) -> str:
    """HTML.

    Args:
        schema: an OpenAPI document.
    """
    operations = [
        _operation(method, path, operation)
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
    ]
    return PAGE.format(
        title=escape(schema["info"]["title"]),
        about=escape(schema["info"]["description"]),
        operations="\n".join(operations),
    )


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    parts = [f"<h2>{method.upper()} {escape(path)}</h2>", f"<p>{escape(operation['description'])}</p>"]
    if body := operation.get("requestBody"):
        parts.append(f"<p>{escape(body['description'])} As {escape(' or '.join(body['content']))}.</p>")
    if parameters := operation.get("parameters"):
        parts.append("<p>Parameters are in the address.</p>")
        parts.append(
            _table(
                ("Parameter", "What it is", "Allowed", "Default"),
                [
                    (each["name"], each["description"], _allowed(each["schema"]), each["schema"]["default"])
                    for each in parameters
                ],
            )
        )
    answers = operation["responses"].items()
    parts.append(_table(("Status", "Answer"), [(status, answer["description"]) for status, answer in answers]))
    return "\n".join(parts)


def _allowed(schema: dict[str, Any]) -> str:
    if "minimum" in schema:
        return f"{schema['minimum']:g} to {schema['maximum']:g}"
    return ", ".join(schema.get("enum", [schema.get("const")]))


def _table(head: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    lines = ["".join(f"<th>{escape(cell)}</th>" for cell in head)]
    lines += ["".join(f"<td>{escape(str(cell))}</td>" for cell in row) for row in rows]
    return f"<table>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"
