"""The command that measures the house, and what its figures must be."""

from __future__ import annotations

from textwrap import dedent

import pytest

from tests.house import habits, options, sizes, tree
from tests.house.__main__ import REPOSITORY, figures


@pytest.fixture
def package(tmp_path):
    """A function that writes files into a package and gives back its folder."""

    def write(**files):
        root = tmp_path / "toy"
        for name, text in {"__init__": "", **files}.items():
            path = root / f"{name.replace('__in__', '/')}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(dedent(text))
        return root

    return write


def test_a_ring_through_type_checking_and_a_lazy_import_is_found(package):
    root = package(
        one="""
        from typing import TYPE_CHECKING
        if TYPE_CHECKING:
            from toy.two import Two
        """,
        two="""
        def late():
            from . import three
        """,
        three="import toy.one",
        four="from toy import one, two",
    )
    assert tree.rings(tree.imports(tree.read(root))) == [["toy.one", "toy.three", "toy.two"]]


def test_relative_imports_are_counted_from_the_module_s_own_package(package):
    root = package(
        a__in____init__="from .x import X", a__in__x="from ..b import B, c\nX = 1", b="B = c = 1"
    )
    graph = tree.imports(tree.read(root))
    assert graph["toy.a"] == {"toy.a.x"}
    assert graph["toy.a.x"] == {"toy.b"}


def test_a_room_is_one_floor_above_the_highest_it_imports(package):
    root = package(
        errors="E = 1",
        low__in__a="from toy.errors import E",
        low__in__inner__in__b="from toy.errors import E",
        low__in__inner__in__deeper__in__c="",
        top="from toy.low import a\nfrom toy.low.inner import b",
    )
    assert tree.floors(tree.rooms(tree.read(root))) == [
        ["__init__.py", "errors.py"],
        ["low", "low/inner"],
        ["top.py"],
    ]


def test_rooms_in_a_ring_share_a_floor(package):
    root = package(
        low="",
        a__in__x="from toy.b import y\nfrom toy import low",
        b__in__y="from toy.a import x",
        top="from toy.b import y",
    )
    assert tree.floors(tree.rooms(tree.read(root)))[1:] == [["a", "b"], ["top.py"]]


def test_the_biggest_room_holds_its_inner_folders_and_a_flat_folder_does_not(package):
    sources = tree.read(package(a__in__x="1\n" * 3, a__in__b__in__y="1\n" * 3, c="1\n" * 4))
    assert sizes.biggest_room(sources) == (0.6, "a")
    assert sizes.flat(sources) == (2, "")
    assert sizes.lines(sources) == 10


def test_a_function_s_length_leaves_out_its_docstring_and_decorators(package):
    text = '''
    @decorated
    def one(a):
        """Two lines
        of docstring."""
        def inner():
            return 1

        return inner
    '''
    lengths = sizes.function_lengths(tree.read(package(one=text)))
    assert lengths == [(5, "one.py:3 one"), (2, "one.py:6 inner")]


def test_comments_count_beside_and_above_code_but_directives_do_not(package):
    text = '''
    """Docstring."""
    # why
    a = 1  # unit
    b = 2  # noqa: S101 - with a reason

    c = "# no comment"
    d = 4
    '''
    assert sizes.comment_density(tree.read(package(one=text))) == 50


def test_every_list_of_options_is_a_place(package):
    text = '''
    class Settings:
        """Options.

        rpm, tpm: a minute. hedge: ask twice.
        """
        rpm: int
        tpm: int
        hedge: bool
        given: set
    CHECKS = {"rpm": 1, "tpm": 2, "hedge": 3}
    KINDS = ["hedge", "outage", "crash"]
    def plan(settings):
        return Job(rpm=settings.rpm, tpm=settings.tpm, hedge=settings._hedge)
    def read(hedge): ...
    '''
    found = options.places(tree.read(package(one=text)))
    assert set(found) == {"rpm", "tpm", "hedge"}
    lists = ["CHECKS[...]", "Settings", "Settings.__doc__", "plan"]
    assert sorted(found["hedge"]) == [f"one.py:{name}" for name in lists]


def test_private_names_of_ours_count_and_those_of_others_do_not(package, tmp_path):
    ours = tree.read(
        package(one="class A:\n    def _mine(self): self._held = self._repr_html_ = 1")
    )
    tests = tmp_path / "tests"
    tests.mkdir()
    (tests / "test_a.py").write_text(
        "a._mine(), a.b._held, self._held, super()._mine(), os._exit(0), a._repr_html_, a.__class__"
    )
    found = habits.private_reads(ours, tree.read(tests))
    assert sorted(found) == ["test_a.py:1 a._mine", "test_a.py:1 a.b._held"]


def test_a_run_shows_methods_fields_and_attributes(package):
    text = """
    class Run:
        status: str
        _hidden: int
        def __init__(self): self.loop, self._loop = 1, 2
        def stop(self): ...
        @property
        def report(self): ...
    """
    found = habits.run_names(tree.read(package(one=text)))
    assert found == ["loop", "report", "status", "stop"]


def test_sleeps_count_where_time_is_real(tmp_path):
    (tmp_path / "test_real.py").write_text(
        dedent("""
        time.sleep(1), asyncio.sleep(0), asyncio.sleep(wait)
        @pytest.mark.slow
        def test_it(): time.sleep(2)
        """)
    )
    (tmp_path / "test_virtual.py").write_text("import virtual_time\nasyncio.sleep(9)")
    (tmp_path / "test_kernel.py").write_text("pytestmark = pytest.mark.kernel\ntime.sleep(9)")
    assert habits.real_sleeps(tree.read(tmp_path)) == [
        "test_real.py:2 time.sleep(1)",
        "test_real.py:2 asyncio.sleep(wait)",
    ]


def test_a_kit_of_the_groups_may_sleep_and_so_may_the_one_that_polls(tmp_path):
    files = {
        "kits/raw.py": "time.sleep(1)",
        "kits/kills.py": "from tests.kits.raw import serve\ntime.sleep(2)",
        "kits/shared.py": "time.sleep(3)",
        "kits/unused.py": "time.sleep(4)",
        "kits/until.py": "time.sleep(5)",
        "battery/test_a.py": "from tests.kits import kills, shared",
        "test_b.py": "from tests.kits import shared, until",
    }
    for name, text in files.items():
        path = tmp_path / "tests" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert habits.real_sleeps(tree.read(tmp_path / "tests")) == [
        "kits/shared.py:1 time.sleep(3)",
        "kits/unused.py:1 time.sleep(4)",
    ]


def test_the_figures_of_the_house_can_be_measured():
    rows = {
        row.name: row for row in figures(REPOSITORY / "llmframe", REPOSITORY / "tests" / "house")
    }
    assert rows["places of one option"].parts
    assert rows["floors"].parts


def test_no_import_ring_types_counted():
    assert tree.rings(tree.imports(tree.read(REPOSITORY / "llmframe"))) == []
