"""Name and supply chain, unsafe loads, and who may read what lies on the disk."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path

import pandas as pd
import pytest

import llmframe as lf
from llmframe import testing
from llmframe.journal import lines
from tests.kits import battery as kit
from tests.kits.battery import frame, says, statuses
from tests.kits.journal import mode

pytestmark = pytest.mark.battery

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "llmframe"
SOURCES = sorted(PACKAGE.rglob("*.py"))
TREES = {path: ast.parse(path.read_text()) for path in SOURCES}


# -- the name ------------------------------------------------------------------------------------

TOOLS = r"(?:pip3?|uv|uvx|pipx|conda|poetry|pdm)\b"
INSTALL = re.compile(TOOLS + r"[^\n`\"]{0,60}?\b(?:install|add)\b([^\n`]*)")
BARE = re.compile(r"(?<![\w./-])llmframe(?![\w./-])(?!\s*@)")
TEXTS = [
    path
    for path in ROOT.rglob("*")
    if path.suffix in (".md", ".py", ".toml", ".ipynb", ".yml", ".yaml", ".txt", ".cfg")
    and not {".venv", ".kernels", ".git", "artifacts", "tests"} & set(path.relative_to(ROOT).parts)
]  # fmt: skip


def bare_installs(text: str) -> list[str]:
    """The install commands that would fetch a stranger's package."""
    return [found[0] for found in INSTALL.finditer(text) if BARE.search(found[1])]


def test_no_text_installs_by_the_bare_name():
    """Name: `llmframe` on the public index is a stranger's."""
    assert len(TEXTS) > 80
    found = {str(path): bare_installs(path.read_text(errors="replace")) for path in TEXTS}
    assert {path: lines for path, lines in found.items() if lines} == {}


def test_the_search_for_bare_installs_finds_them():
    """Name: the check above can fail."""
    tool = "pip"
    for line in ("install llmframe", "install -U 'llmframe'", 'install "llmframe[all]"'):
        assert bare_installs(f"{tool} {line}")
    for line in (
        "install llmframe-notebook",
        "install ./llmframe",
        "install llmframe @ git+https://x",
    ):
        assert not bare_installs(f"{tool} {line}")


def site(place: Path, *, ours: bool = True, record: str | None = None, egg: str = "dist") -> Path:
    """A folder with our package, linked, and with a stranger's metadata beside it."""
    place.mkdir()
    (place / "llmframe").symlink_to(PACKAGE, target_is_directory=True)
    if ours:
        (place / "llmframe_notebook-0.1.0.dist-info").mkdir()
        (place / "llmframe_notebook-0.1.0.dist-info" / "RECORD").write_text("llmframe/api.py,,\n")
    if record is not None:
        info = place / f"llmframe-3.1.0.{egg}-info"
        info.mkdir()
        (info / ("RECORD" if egg == "dist" else "installed-files.txt")).write_text(record)
    return place


def imported(*places: Path, code: str = "import llmframe; print(llmframe.__version__)"):
    """What importing says, with these places first on the path."""
    path = os.pathsep.join(map(str, places))
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}, timeout=60,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("egg", "record"),
    [
        ("dist", "llmframe/__init__.py,sha256=x,1\nllmframe-3.1.0.dist-info/RECORD,,\n"),
        ("dist", "../llmframe/core.py,,\r\n"),
        ("dist", "llmframe\\core.py,,\n"),
        ("egg", "../llmframe/__init__.py\n"),
    ],
)
def test_importing_beside_a_strangers_files_is_refused_with_one_clear_error(tmp_path, egg, record):
    """Name: two distributions in one folder; the error names both and the cure."""
    done = imported(site(tmp_path / "site", record=record, egg=egg))
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    says(last, "ImportError", "llmframe-notebook", f"llmframe-3.1.0.{egg}-info", "uninstall")
    assert bare_installs(done.stderr) == []
    assert "During handling" not in done.stderr


@pytest.mark.parametrize(
    "record",
    [None, "", "other/__init__.py,,\n", "llmframe_tools/__init__.py,,\n", "src/llmframe/x.py,,\n"],
)
def test_nothing_is_refused_where_nobody_else_has_written(tmp_path, record):
    """Name: no false alarm for another distribution that only bears the name."""
    done = imported(site(tmp_path / "site", record=record))
    assert (done.returncode, done.stderr) == (0, "")


def test_a_stranger_elsewhere_on_the_path_is_no_harm(tmp_path):
    """Name: no false alarm for a source checkout, an editable install or PYTHONPATH."""
    elsewhere = site(tmp_path / "elsewhere", ours=False, record="llmframe/__init__.py,,\n")
    (elsewhere / "llmframe").unlink()
    for first in (ROOT, site(tmp_path / "mine", ours=False), site(tmp_path / "installed")):
        done = imported(first, elsewhere)
        assert (done.returncode, done.stderr) == (0, "")


def test_a_zipped_package_is_imported_as_any_other(tmp_path):
    """Name: no false alarm, and no crash, in a zip file."""
    packed = tmp_path / "packed.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for path in PACKAGE.rglob("*.py"):
            archive.write(path, path.relative_to(ROOT))
    done = imported(packed, code="import llmframe; print(llmframe.__file__)")
    assert (done.returncode, done.stderr) == (0, "")
    assert "packed.zip" in done.stdout


def test_the_wheel_holds_our_package_and_nothing_else(tmp_path):
    """Supply chain: no tests, no notebooks, no other top-level name."""
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet", "-w", str(tmp_path)]
    subprocess.run([*command, str(ROOT)], check=True, capture_output=True, timeout=300)
    [wheel] = tmp_path.glob("*.whl")
    assert wheel.name.startswith("llmframe_notebook-")
    names = zipfile.ZipFile(wheel).namelist()
    info = wheel.name.split("-py3")[0] + ".dist-info"
    assert {name.split("/")[0] for name in names} == {"llmframe", info}
    packed = {name for name in names if name.endswith(".py")}
    assert packed == {str(path.relative_to(ROOT)) for path in SOURCES}
    assert {Path(name).suffix for name in names if name.startswith("llmframe/")} <= {
        ".json",  # the words of the test server's records
        ".py",
        ".typed",
    }


# -- unsafe loads --------------------------------------------------------------------------------

NO_MODULES = {
    *("pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "yaml"),
    *("jsonpickle", "xmlrpc", "telnetlib", "ftplib", "requests", "posthog", "code"),
}
OWN_PIPE = {  # both ends of a pipe to a process of our own: what one writes, the other loads
    "system/processes.py": {"cloudpickle", "pickle"},
    "system/worker.py": {"pickle"},
}
# where="n < 3" in a call is the person's own code, as it is in df.query
QUERIES = {"frame/selection.py": ["df.eval", "df.eval"]}
NO_CALLS = {
    *("eval", "exec", "compile", "__import__", "os.system", "os.popen"),
    *("pd.read_pickle", "pd.eval", "np.load", "yaml.load", "df.eval"),
}


def modules(tree: ast.AST) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


def dangers(tree: ast.AST) -> list[str]:
    """Calls that run what they are given, and shells."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    named = [ast.unparse(call.func) for call in calls]
    shells = [
        ast.unparse(call)
        for call in calls
        for given in call.keywords
        if given.arg in ("shell", "allow_pickle") and ast.unparse(given.value) != "False"
    ]
    methods = [name for name in named if name.endswith((".to_pickle", ".eval", ".exec"))]
    return [name for name in named if name in NO_CALLS] + methods + shells


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nothing_of_ours_loads_or_runs_what_it_reads(path):
    """Unsafe load: no pickle, marshal, yaml, eval, exec, shell, and no telemetry."""
    own_pipe = OWN_PIPE.get(path.relative_to(PACKAGE).as_posix(), set())
    assert modules(TREES[path]) & NO_MODULES == own_pipe
    assert dangers(TREES[path]) == QUERIES.get(path.relative_to(PACKAGE).as_posix(), [])


FOUND = {
    *("eval", "os.system", "df.eval", "np.load", "run('x', shell=True)"),
    "np.load('x', allow_pickle=flag)",
}


def test_the_search_for_unsafe_calls_finds_them():
    """Unsafe load: the check above can fail."""
    bad = "import pickle, yaml.x\nfrom marshal import loads\neval('1'); os.system('x')\n"
    bad += "run('x', shell=True); df.eval('x'); np.load('x', allow_pickle=flag)"
    assert modules(ast.parse(bad)) & NO_MODULES == {"pickle", "yaml", "marshal"}
    assert set(dangers(ast.parse(bad))) == FOUND


def test_the_linter_for_security_finds_nothing():
    """Unsafe load: ruff's S rules over the package."""
    ruff = Path(sys.executable).with_name("ruff")
    done = subprocess.run(
        [ruff, "check", "--select", "S", "--ignore", "S101", PACKAGE],
        capture_output=True, text=True, check=False, cwd=ROOT, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


HOSTILE = (
    b"cos\nsystem\n(S'touch RAN'\ntR.\n",
    b"!!python/object/apply:os.system ['touch RAN']\n",
    b'{"__reduce__": ["os.system", ["touch RAN"]], "py/object": "os.system"}\n',
    b"__import__('os').system('touch RAN')\n",
    b'{"k":"%b","c":"00000000","task":"000000000000","v":{"__class__":"os.system"}}\n'
    % (b"0" * 32),
    b"[" * 100_000 + b"\n",
    b'{"id": "${jndi:ldap://x}", "intent": "$(touch RAN)"}\n',
)


@pytest.mark.parametrize("line", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("torn", [False, True])
def test_a_malicious_line_in_a_checkpoint_runs_nothing(line, torn, tmp_path):
    """Unsafe load: it is skipped, and the answers around it are kept."""
    path = tmp_path / "run.jsonl"
    with testing.serve() as server:
        kit.tag(frame(4), server, tmp_path)
        good = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join([good[0], line, *good[1:], line.rstrip() if torn else b""]))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            out = kit.tag(frame(4), server, tmp_path)
        assert len(server.ledger) == 4
    assert statuses(out) == {"ok": 4}
    assert not list(tmp_path.rglob("RAN"))
    assert len(caught) == 1 or lines.foreign(line) is not None


# -- on the disk ---------------------------------------------------------------------------------


@pytest.mark.parametrize("store", [True, "mine.jsonl", "deep/er/mine.jsonl"])
def test_what_a_call_writes_is_for_its_owner_only(store, tmp_path):
    """File mode: folder 0700, files 0600, kept out of version control; through df.llm.tag."""
    before = os.umask(0)
    try:
        with testing.serve() as server:
            options = kit.settings(server, None, checkpoint=store)
            out = frame(3).llm.tag("text", kit.FIELDS, **options)
            out = pd.concat([out, out])[list(frame(1).columns)].llm.tag(
                "text", kit.FIELDS, **options, store_input=True
            )
    finally:
        os.umask(before)
    made = [path for path in tmp_path.rglob("*") if path != tmp_path]
    assert made
    for path in made:
        assert mode(path) == (0o700 if path.is_dir() else 0o600), path
    if store is True:
        assert (tmp_path / ".llmframe" / ".gitignore").read_text() == "*\n"
    assert lf.last_run().report.reused == 6


def test_version_control_does_not_see_the_default_folder(tmp_path):
    """File mode: as git sees it."""
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    with testing.serve() as server:
        frame(3).llm.tag("text", kit.FIELDS, **kit.settings(server, None, checkpoint=True))
    seen = subprocess.run(
        ["git", "-C", tmp_path, "status", "--porcelain", "--untracked-files=all"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert seen.stdout == ""
    assert any((tmp_path / ".llmframe").glob("*.jsonl"))
