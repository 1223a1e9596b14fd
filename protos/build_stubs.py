"""Build hook: turns `protos/` into the import package `onecity` (gRPC stubs and the table of YANG nodes used).

Runs at every install and wheel build, so that generated code is never committed and never stale.
Also a script: `python protos/build_stubs.py` regenerates in place after a change of a .proto file.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # run as a script, outside a build
    BuildHookInterface = object  # type: ignore[assignment,misc]


def generate(root: Path) -> None:
    """Write `build/stubs/onecity` from `protos/`; raises RuntimeError where protoc refuses a file."""
    import grpc_tools
    from grpc_tools import protoc

    source, target = root / "protos", root / "build" / "stubs"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    files = sorted(str(path) for path in (source / "onecity").rglob("*.proto"))
    well_known = Path(grpc_tools.__file__).parent / "_proto"
    arguments = [
        "protoc",
        f"-I{source}",
        f"-I{well_known}",
        f"--python_out={target}",
        f"--pyi_out={target}",
        f"--grpc_python_out={target}",
    ]
    if protoc.main(arguments + files) != 0:
        raise RuntimeError("protoc refused the files above")
    for folder in [target / "onecity", *(p for p in (target / "onecity").rglob("*") if p.is_dir())]:
        (folder / "__init__.py").touch()
    (target / "onecity" / "py.typed").touch()
    yang = target / "onecity" / "yang"
    yang.mkdir(exist_ok=True)
    (yang / "__init__.py").write_text('"""The YANG nodes that both sides exchange, as a table."""\n')
    for path in sorted((source / "yang").glob("*")):
        if path.suffix in {".json", ".yang"}:
            shutil.copy(path, yang / path.name)


class StubsBuildHook(BuildHookInterface):  # type: ignore[misc]
    """Generates the stubs before hatchling collects files."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        generate(Path(self.root))
        if version == "standard":  # an editable install finds both through `dev-mode-dirs`
            build_data["force_include"] |= {"build/stubs/onecity": "onecity", "intents": "lab/intents"}


if __name__ == "__main__":
    generate(Path(__file__).resolve().parent.parent)
