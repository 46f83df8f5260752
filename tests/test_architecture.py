"""The rules of the house: who may import whom, and how long things may be."""

import ast
import os
import socket
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "gouache"

PLANNER = (
    "prompts",
    "wording",
    "messages",
    "planning",
    "salience",
    "letters",
    "profiles",
    "typeroom",
    "layouts",
    "grouping",
    "reading",
    "mentions",
    "grounds",
    "tagging",
    "lexicon",
    "concepts",
    "lettering",
)
"""From a prompt to a scene: a chain, in which each part may import those after it."""

VARIANTS = ("icons", "variants", "tracing", "printing", "encodings", "cutouts", "images")
"""From a picture to its variants: a chain as well."""

DIFFUSERS = tuple(
    f"engines.{name}"
    for name in ("painting", "batching", "devices", "families", "fitting", "pipelines", "previews")
)
"""What the engine of diffusers is made of."""

LEVELS = {
    "__main__": 4,
    "cli": 4,
    "commands": 4,
    "commands.doctor": 4,
    "mcp_server": 4,
    "terminal": 4,
    "web": 4,
    "intake": 3,
    "making": 3,
    "pacing": 3,
    "parts": 3,
    "preparing": 3,
    "results": 3,
    "retrying": 3,
    "service": 3,
    "spending": 3,
    "stubs": 3,
    "views": 3,
    "watching": 3,
    "webhooks": 3,
    "work": 3,
    "durable": 2,
    "engines": 2,
    "engines.asking": 2,
    "engines.batching": 2,
    "engines.devices": 2,
    "engines.diffusers_local": 2,
    "engines.embedded": 2,
    "engines.fake": 2,
    "engines.families": 2,
    "engines.fitting": 2,
    "engines.huggingface_hosted": 2,
    "engines.painting": 2,
    "engines.pipelines": 2,
    "engines.previews": 2,
    "engines.arriving": 2,
    "engines.dialects": 2,
    "engines.fetching": 2,
    "engines.openai_failures": 2,
    "engines.openai_images": 2,
    "engines.remote": 2,
    "gateways": 2,
    "liveness": 2,
    "neighbours": 2,
    "waiting": 2,
    "backlog": 1,
    "cache": 1,
    "callers": 1,
    "calling": 1,
    "database": 1,
    "deliveries": 1,
    "diffusion": 1,
    "documents": 1,
    "evaluator": 1,
    "expenses": 1,
    "expressions": 1,
    "files": 1,
    "glances": 1,
    "handlebars": 1,
    "keys": 1,
    "ledger": 1,
    "links": 1,
    "media": 1,
    "migrations": 1,
    "model_life": 1,
    "paging": 1,
    "paths": 1,
    "pictures": 1,
    "prices": 1,
    "rewriting": 1,
    "sending": 1,
    "substitution": 1,
    "typesetter": 1,
    **dict.fromkeys(PLANNER + VARIANTS, 1),
    "addresses": 0,
    "contract": 0,
    "errors": 0,
    "given": 0,
    "records": 0,
    "rows": 0,
    "scene": 0,
    "seeds": 0,
    "settings": 0,
    "signatures": 0,
    "tasktypes": 0,
    "usage": 0,
}
"""Each part's level; a part may import from the levels below its own."""

SIDEWAYS = {
    "__main__": {"cli"},
    "cli": {"commands", "commands.doctor"},
    "commands": {"mcp_server", "terminal", "web"},
    "commands.doctor": {"commands"},
    "engines.batching": {"engines"},
    "engines.diffusers_local": {"engines", "engines.asking", *DIFFUSERS},
    "engines.embedded": {"engines"},
    "engines.fake": {"engines"},
    "engines.fitting": {"engines"},
    "engines.huggingface_hosted": {
        "engines",
        "engines.arriving",
        "engines.asking",
        "engines.remote",
    },
    "engines.painting": {"engines", *DIFFUSERS[1:]},
    "engines.pipelines": {"engines.devices"},
    "engines.previews": {"engines"},
    "engines.arriving": {"engines", "engines.fitting"},
    "engines.dialects": {"engines"},
    "engines.openai_failures": {"engines.dialects"},
    "engines.openai_images": {
        "engines",
        "engines.arriving",
        "engines.dialects",
        "engines.fetching",
        "engines.openai_failures",
        "engines.remote",
    },
    "engines.remote": {"engines"},
    "gateways": {"engines"},
    **{part: set(PLANNER[i + 1 :]) for i, part in enumerate(PLANNER)},
    **{part: set(VARIANTS[i + 1 :]) for i, part in enumerate(VARIANTS)},
    "backlog": {"database"},
    "cache": {"database", "ledger"},
    "contract": {"addresses", "given", "seeds", "usage"},
    "deliveries": {"database", "ledger"},
    "given": {"errors"},
    "durable": {"liveness"},
    "expenses": {"database", "ledger"},
    "files": {"database", "images", "ledger"},
    "glances": {"database"},
    "handlebars": {"paths"},
    "keys": {"database", "ledger"},
    "ledger": {"database", "paging"},
    "migrations": {"database"},
    "records": {"contract", "given"},
    "intake": {"preparing", "spending", "stubs", "webhooks"},
    "pictures": {"database", "files", "ledger", "paging"},
    "substitution": {"expressions", "handlebars", "paths"},
    "making": {"pacing", "preparing", "results", "spending"},
    "preparing": {"views"},
    "results": {"preparing"},
    "parts": {
        "intake",
        "making",
        "preparing",
        "spending",
        "stubs",
        "views",
        "webhooks",
        "work",
    },
    "service": {"intake", "parts", "watching"},
    "retrying": {"preparing"},
    "stubs": {"making", "pacing", "preparing", "results", "retrying", "webhooks"},
    "webhooks": {"views"},
    "work": {"making", "results", "stubs", "webhooks"},
    "sending": {"calling"},
    "rows": {"contract", "given"},
    "settings": {"addresses", "contract", "errors", "given", "rows", "signatures"},
    "tasktypes": {"contract", "given", "records"},
    "web": {"mcp_server"},
}
"""What a part may import from its own level."""

ONLY_IMPORTERS = {"diffusion": {"engines.embedded", "commands.doctor"}}
"""Parts that few may import."""

ONLY_IMPORTS = {
    "diffusion": {"scene", "errors"},
    "engines.fake": {"contract", "engines", "errors", "settings"},
    "evaluator": set(),
    "typesetter": set(),
}
"""Parts that may import little of ours."""

LIBRARIES = {
    "addresses": {"pydantic"},
    "contract": {"pydantic", "pydantic_core"},
    "given": {"pydantic", "pydantic_core"},
    "errors": set(),
    "evaluator": {"jsonata"},
    "expressions": set(),
    "handlebars": set(),
    "paths": set(),
    "substitution": set(),
    "scene": set(),
    "settings": {"pydantic", "pydantic_settings", "platformdirs"},
    "diffusion": {"numpy", "openvino", "tokenizers"},
    "typesetter": {"PIL", "plutoprint"},
}
"""The libraries a part may import, where that is settled."""

HEAVY = {
    "alembic",
    "dbos",
    "diffusers",
    "fastapi",
    "filelock",
    "huggingface_hub",
    "mcp",
    "mcp_types",
    "openai",
    "openvino",
    "plutoprint",
    "psycopg",
    "scipy",
    "sqlalchemy",
    "tokenizers",
    "torch",
    "transformers",
    "uvicorn",
}
"""Libraries that a command imports when it needs them and not before."""

TRAINING_MAY_IMPORT = {"scene", "diffusion", "concepts", "prompts"}
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60
BANNED_NAMES = set(
    [
        "util",
        "utils",
        "common",
        "helper",
        "helpers",
        "manager",
        "handler",
        "processor",
        "base",
        "impl",
        "data",
        "info",
        "misc",
    ]
)


@cache
def modules(folder):
    found = sorted(p for p in folder.rglob("*.py") if "__pycache__" not in p.parts)
    return {path: ast.parse(path.read_text()) for path in found}


def part_of(dotted):
    """Return the part a name below gouache belongs to: "engines.fake", "diffusion", "contract"."""
    pieces = dotted.split(".")
    for length in range(len(pieces), 0, -1):
        if ".".join(pieces[:length]) in LEVELS:
            return ".".join(pieces[:length])
    return None


def own_name(path):
    return (
        ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix("__init__").strip(".")
    )


def imports(tree):
    """Yield each imported module's dotted name; a name imported from a package may be a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            for alias in node.names:
                yield f"{node.module}.{alias.name}"


def parts_imported(tree):
    """Return the parts of gouache a module imports."""
    own = [name.removeprefix("gouache.") for name in imports(tree) if name.startswith("gouache.")]
    return {part_of(name) for name in own if name != "__version__"}


def test_each_module_has_a_level():
    names = [own_name(path) for path in modules(SOURCE)]
    assert [name for name in names if name and part_of(name) is None] == []
    assert len(names) >= 14, "this test has stopped finding modules; mend it"


def test_imports_go_down():
    for path, tree in modules(SOURCE).items():
        part = part_of(own_name(path))
        for other in parts_imported(tree) - {part}:
            assert other is not None, f"{path} imports something that has no level"
            down = LEVELS[other] < LEVELS[part]
            assert down or other in SIDEWAYS.get(part, ()), f"{part} must not import {other}"
            allowed = ONLY_IMPORTERS.get(other)
            assert allowed is None or part in allowed, f"{part} must not import {other}"
            allowed = ONLY_IMPORTS.get(part)
            assert allowed is None or other in allowed, f"{part} must not import {other}"


def test_the_lower_levels_import_few_libraries():
    for path, tree in modules(SOURCE).items():
        allowed = LIBRARIES.get(part_of(own_name(path)))
        if allowed is None:
            continue
        roots = {name.split(".")[0] for name in imports(tree)}
        foreign = roots - set(sys.stdlib_module_names) - {"gouache"}
        assert foreign <= allowed, f"{path} imports {foreign - allowed}"


def test_nothing_shipped_imports_torch_or_training():
    for path, tree in modules(SOURCE).items():
        roots = {name.split(".")[0] for name in imports(tree)}
        assert not roots & {"training", "scipy", "resvg_py"}, path
        if part_of(own_name(path)) not in DIFFUSERS + ("engines.diffusers_local",):
            assert not roots & {"diffusers", "torch", "transformers"}, path


def test_training_imports_little_of_the_package():
    found = modules(ROOT / "training")
    for path, tree in found.items():
        assert parts_imported(tree) <= TRAINING_MAY_IMPORT, path
    assert len(found) >= 5, "this test has stopped finding modules; mend it"


def test_the_command_line_is_imported_without_the_heavy_libraries():
    code = "import sys, gouache.cli; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "numpy" in done.stdout.split(), "this test has stopped finding modules; mend it"
    assert HEAVY.intersection(done.stdout.split()) == set()


def test_a_picture_is_drawn_without_the_libraries_of_the_service(tmp_path):
    code = (
        "import sys, gouache.__main__\n"
        "sys.argv = ['gouache', 'generate', 'x', '--engine', 'fake', '--output', 'x.png']\n"
        "try: gouache.__main__.main()\n"
        "finally: print(*sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert (tmp_path / "x.png").is_file()
    assert HEAVY.intersection(done.stdout.split()) == set()


def test_the_inference_runtime_reports_to_nobody(tmp_path):
    """OpenVINO alone would make a client id in the home folder and send it over the network."""
    code = (
        "import gouache.diffusion.graphs, sys; "
        "print(sorted(name for name in sys.modules if name.startswith('openvino_telemetry.')))"
    )
    environment = os.environ | {"HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout.strip() == "[]"
    assert not (tmp_path / "intel").exists()


def test_files_and_functions_are_short():
    for path, tree in (modules(SOURCE) | modules(ROOT / "training")).items():
        lines = len(path.read_text().splitlines())
        assert lines < MAX_FILE_LINES, f"{path} has {lines} lines"
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = node.end_lineno - node.lineno + 1
                assert length <= MAX_FUNCTION_LINES, f"{path}: {node.name} has {length} lines"


def test_no_module_has_a_name_that_says_nothing():
    found = [path.relative_to(SOURCE) for path in modules(SOURCE)]
    assert [str(path) for path in found if set(path.stem.split("_")) & BANNED_NAMES] == []


def test_each_module_says_what_it_holds():
    for path, tree in (modules(SOURCE) | modules(ROOT / "training")).items():
        assert ast.get_docstring(tree), path


def test_tests_are_refused_the_network():
    for address in ("192.0.2.1", "127.0.0.2", "localhost"):  # the first is kept for documents
        with socket.socket() as ours, pytest.raises(AssertionError, match="wanted the network"):
            ours.connect((address, 80))


def test_tests_may_reach_their_own_server():
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as ours:
        ours.connect(server.getsockname())


def test_the_scripts_can_be_run():
    scripts = [*(ROOT / "scripts").iterdir(), ROOT / ".ci" / "run"]
    assert len(scripts) >= 5
    for script in scripts:
        assert os.access(script, os.X_OK), script
        assert len(script.read_text().splitlines()) <= 20, script
