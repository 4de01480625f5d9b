"""How the files are written: YAML that people read, the same bytes for the same content, each with a line that says where it comes from."""

from __future__ import annotations

import json
from typing import Any

FROM = "written by `mlops monitor`: change mlops.yaml and run it again, or change this and keep it"


def yaml_of(*documents: Any) -> str:
    """Keys in the given order, long expressions as they are."""
    import yaml

    class Dumper(yaml.SafeDumper):
        """Lists indented below their key; texts of several lines as blocks; no anchors."""

        def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
            super().increase_indent(flow, False)

        def ignore_aliases(self, data: Any) -> bool:
            return True

    def text(dumper: Any, value: str) -> Any:
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)

    Dumper.add_representer(str, text)
    body = yaml.dump_all(documents, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=1_000_000, default_flow_style=False)
    return f"# {FROM}\n{body}"


def json_of(data: Any) -> str:
    """Indented, ASCII alone."""
    return json.dumps(data, indent=2, ensure_ascii=True, allow_nan=False) + "\n"
