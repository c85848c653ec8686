"""The script that keeps `coordha observe` running in its container, with a stand-in for that."""

import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import threading

import planted

SCRIPT = pathlib.Path(__file__).parents[2] / "deploy/helm/coordha/scripts/follow.sh"
LIMIT_S = 60
# Fails as often as the file beside it says, as where etcd is away; then it is there until SIGTERM.
OBSERVER = f"""#!{sys.executable}
import pathlib, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, {{signal.SIGTERM}})
file = pathlib.Path(sys.argv[0]).with_name("failures")
failures = int(file.read_text())
print("away" if failures else " ".join(sys.argv[1:]), flush=True)
if failures:
    file.write_text(str(failures - 1))
    sys.exit(3)
if signal.sigtimedwait({{signal.SIGTERM}}, {LIMIT_S}):
    print("told to end", flush=True)
"""
UP = "observe --role=rootcoord"


class Container:
    """The script, run as the chart does it, in a folder that has the stand-in."""

    def __init__(self, folder, failures, **variables):
        observer = folder / "coordha"
        observer.write_text(OBSERVER)
        observer.chmod(0o755)
        (folder / "failures").write_text(str(failures))
        path = f"{folder}:{os.environ['PATH']}"
        self.process = subprocess.Popen(
            [folder / "follow.sh", "observe", "--role=rootcoord"],
            env={"PATH": path, "FOLLOW_PAUSE": "0", "FOLLOW_RENEWAL": str(LIMIT_S), **variables},
            stdout=subprocess.PIPE,
            text=True,
        )
        # What holds stdout open then, the stand-in, ends by itself.
        self.watchdog = threading.Timer(LIMIT_S, self.process.kill)
        self.watchdog.start()

    def says(self, *lines):
        for line in lines:
            said = self.process.stdout.readline().rstrip("\n")
            assert said == line, f"{said!r}, not {line!r}"

    def end(self):
        """As Kubernetes does; gives what it says until then."""
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(LIMIT_S)
        assert status == 0, f"it ends with {status}"
        return self.process.stdout.read().splitlines()

    def close(self):
        self.watchdog.cancel()
        self.process.terminate()
        self.process.wait(LIMIT_S)
        # Until what it has started is gone, too.
        self.process.communicate(timeout=2 * LIMIT_S)


def it_goes_on_where_etcd_is_away(folder):
    container = Container(folder, 3)
    try:
        container.says("away", "away", "away", UP)
        assert container.end() == ["told to end"]
    finally:
        container.close()


def it_is_begun_anew_from_time_to_time(folder):
    # A pause would be long.
    container = Container(folder, 0, FOLLOW_RENEWAL="1", FOLLOW_PAUSE=str(LIMIT_S))
    try:
        container.says(UP, "told to end", UP, "told to end", UP)
        assert container.end() == ["told to end"]
    finally:
        container.close()


def it_can_be_told_to_end_in_a_pause(folder):
    container = Container(folder, 1000, FOLLOW_PAUSE=str(LIMIT_S))
    try:
        container.says("away")
        assert container.end() == []
    finally:
        container.close()


# Scripts that are wrong: what, what stands there instead, and the test that must see it.
WRONG = [
    ('while [ -z "$ending" ]; do', "for _ in 1; do", it_goes_on_where_etcd_is_away),
    ("trap 'ending=1;", "trap 'kill $child; exit 1;", it_goes_on_where_etcd_is_away),
]


def play(test, change=lambda text: text):
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        script = folder / "follow.sh"
        script.write_text(change(SCRIPT.read_text()))
        script.chmod(0o755)
        try:
            test(folder)
        except AssertionError as error:
            raise AssertionError(f"{test.__name__}: {error}") from error


def main():
    tests = [it_goes_on_where_etcd_is_away, it_is_begun_anew_from_time_to_time, it_can_be_told_to_end_in_a_pause]
    planted.run("follow", SCRIPT, tests, WRONG, play)


if __name__ == "__main__":
    main()
