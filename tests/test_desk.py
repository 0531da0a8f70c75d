"""The learner's desk: `make lab` opens the course's JupyterLab, whatever else this machine has of Jupyter."""

import ast
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import environment
import lab
import pytest
from jupyter_client import BlockingKernelClient
from learner import files_for_learner, refresh, welcome

SCRIPTS = Path(lab.__file__).parent


def test_jupyter_s_folders_are_the_course_s_and_the_rest_of_the_user_stays():
    user = {
        "PATH": "/bin",
        "HOME": "/home/ada",
        "JUPYTER_CONFIG_PATH": "/x",
        "JUPYTERLAB_DIR": "/x",
        "IPYTHONDIR": "/x",
    }
    own = lab.of_its_own(user, Path("desk"))
    assert own["HOME"] == "/home/ada"
    assert own["PATH"].endswith(os.pathsep + "/bin")
    assert Path(own["IPYTHONDIR"]) == Path("desk", "ipython")
    assert "JUPYTER_CONFIG_PATH" not in own and "JUPYTERLAB_DIR" not in own


def test_only_root_needs_to_be_let_in():
    assert "--allow-root" in lab.options([], root_user=True)
    assert "--allow-root" not in lab.options([], root_user=False)


@pytest.mark.parametrize("given", ["--ServerApp.ip=0.0.0.0", "--ip=0.0.0.0"])
def test_a_given_option_takes_the_place_of_ours(given):
    assert "--ServerApp.ip=127.0.0.1" in lab.options(["--no-browser"], root_user=False)
    assert [option for option in lab.options([given], root_user=False) if "ip=" in option] == [given]


@pytest.mark.parametrize(
    "given", [["--ServerApp.root_dir=/x"], ["--notebook-dir=/x"], ["--notebook-dir", "/x"]]
)
def test_a_given_folder_takes_the_place_of_ours_and_of_the_page_in_it(given):
    options = lab.options(given, root_user=False)
    named = [
        option for option in options if re.match(r"--(\w+\.root_dir|notebook-dir|\w+\.default_url)", option)
    ]
    assert named == given[:1]


def test_the_book_is_found_below_a_folder_with_a_hard_name(monkeypatch):
    monkeypatch.setattr(lab, "BOOK", Path('/it\'s a "course"/_build'))
    [option] = [option for option in lab.options([], root_user=False) if "static_paths" in option]
    assert ast.literal_eval(option.partition("=")[2]) == [str(lab.BOOK)]


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        (["--ip=0.0.0.0"], False),
        (["--ip", "0.0.0.0"], False),
        (["--ServerApp.ip=*"], False),
        (["--ip=0.0.0.0", "--allow-root"], True),
        (["--allow-root"], True),
        (["--ip=localhost"], True),
        (["--ip=127.0.0.2", "--port=9000"], True),
    ],
)
def test_root_is_let_in_unasked_only_where_nobody_else_gets_in(given, asked):
    assert lab.options(given, root_user=True).count("--allow-root") == asked


def test_another_python_is_told_what_to_start():
    code = "import sys, runpy; sys.prefix = '/usr'; runpy.run_path(sys.argv[1], run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(SCRIPTS)!r}); {code}", SCRIPTS / "lab.py"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.rstrip().endswith("make lab") or os.name == "nt"
    assert done.stderr.count("\n") == 1


def test_an_environment_that_names_another_place_is_told(tmp_path, monkeypatch):
    (tmp_path / ".venv").mkdir()
    monkeypatch.setattr(lab, "ROOT", tmp_path)
    environment.write_ready(tmp_path / ".venv" / "ready", "digest", tmp_path)
    assert lab.misplaced(tmp_path / ".venv") == ""
    environment.write_ready(tmp_path / ".venv" / "ready", "digest", tmp_path / "before")
    assert "names the old place" in lab.misplaced(tmp_path / ".venv")


@pytest.fixture
def hostile(tmp_path):
    """A home whose Jupyter does not start, whose kernel python3 is not ours and whose IPython fails."""
    home = tmp_path / "home"
    files = {
        ".jupyter/jupyter_server_config.py": "raise SystemExit('sabotage')",
        ".jupyter/jupyter_lab_config.py": "raise SystemExit('sabotage')",
        ".local/share/jupyter/kernels/python3/kernel.json": '{"argv": ["false"], "display_name": "Foreign"}',
        ".ipython/profile_default/startup/00.py": "raise SystemExit('sabotage')",
    }
    for name, content in files.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(content)
    return {
        "HOME": str(home),
        "JUPYTER_CONFIG_DIR": str(home / ".jupyter"),
        "JUPYTER_PATH": str(home / ".local/share/jupyter"),
    }


def test_the_hostile_home_is_one(hostile):
    done = subprocess.run(
        [sys.executable, "-m", "jupyterlab", "--no-browser"],
        env={**os.environ, **hostile}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert "sabotage" in done.stderr


def wait_for(what, seconds=90):
    """What the callable `what` returns as soon as it is true."""
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end, "it did not come up"
        time.sleep(0.2)
    return found


def end(server):
    """End a JupyterLab, by force if it doesn't end when told."""
    server.terminate()
    try:
        server.wait(timeout=30)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def is_ready(client):
    try:
        client.wait_for_ready(timeout=20)
    except RuntimeError:  # a busy machine: its heart was not heard in time
        return False
    return True


def test_a_broken_jupyter_of_the_user_does_no_harm(hostile, tmp_path):
    desk = tmp_path / "desk"
    own = lab.of_its_own({**os.environ, **hostile}, desk)
    options = lab.options(
        ["--no-browser", f"--ServerApp.root_dir={tmp_path}"], hasattr(os, "getuid") and os.getuid() == 0
    )
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *options], env=own, stdout=log, stderr=log
        )
    try:
        [found] = wait_for(lambda: list((desk / "runtime").glob("jpserver-*.json")))
        at = json.loads(wait_for(found.read_text))
        assert at["url"].startswith("http://127.0.0.1:")
        started = subprocess.run(
            [sys.executable, "-c", START, at["url"], at["token"]], capture_output=True, text=True, check=True
        )
        connection = wait_for(lambda: list((desk / "runtime").glob(f"kernel-{started.stdout.strip()}.json")))
        client = BlockingKernelClient(connection_file=str(connection[0]))
        client.load_connection_file()
        client.start_channels()
        wait_for(lambda: is_ready(client))
        reply = client.execute_interactive(
            "import os, tally; assert os.environ['DO_NOT_TRACK'] == 'true'", timeout=60, output_hook=print
        )
        assert reply["content"]["status"] == "ok"
        client.stop_channels()
    finally:
        end(server)
    assert "sabotage" not in (tmp_path / "log").read_text()


def test_the_first_page_leads_into_a_lab_and_from_there_to_the_built_chapter(
    browser, book, tmp_path, monkeypatch
):
    monkeypatch.setattr(lab, "BOOK", book)
    folder = tmp_path / "my-labs"
    refresh(folder, files_for_learner())
    welcome(folder, ["Lab 9.9 has a new edition"])
    own = lab.of_its_own(dict(os.environ), folder / ".jupyter")
    given = [
        "--no-browser",
        f"--ServerApp.root_dir={tmp_path}",
        "--LabApp.default_url=/lab/tree/my-labs/start.md",
    ]
    options = lab.options(given, hasattr(os, "getuid") and os.getuid() == 0)
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *options], env=own, stdout=log, stderr=log
        )
    try:
        [found] = wait_for(lambda: list((folder / ".jupyter" / "runtime").glob("jpserver-*.json")))
        at = json.loads(wait_for(found.read_text))
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        context.set_default_timeout(90_000)
        page = context.new_page()
        page.goto(f"{at['url']}?token={at['token']}")
        page.get_by_text("Lab 9.9 has a new edition").wait_for()
        page.locator(".jp-MarkdownViewer a", has_text="Lab 1.1").first.click()
        page.get_by_role("heading", name="Lab 1.1").wait_for()
        assert page.get_by_text("Minutes:").count()
        hint = page.locator("summary", has_text="Hint 1").first
        hint.scroll_into_view_if_needed()
        hint.click()
        page.get_by_role("paragraph").filter(has_text="A digest needs bytes.").wait_for()
        page.get_by_role("heading", name="Lab 1.1").scroll_into_view_if_needed()
        with context.expect_page() as opened:
            page.get_by_role("link", name="Chapter 1").first.click()
        opened.value.wait_for_load_state()
        assert opened.value.url.endswith("/static/chapters/01_evolution.html")
        assert "Chapter" in opened.value.title() or opened.value.locator("h1").count()
        # a server that is told to end while a kernel starts may wait for it for ever
        page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").wait_for(state="attached")
        context.close()
    finally:
        end(server)


START = """
import json, sys, urllib.request
url, token = sys.argv[1:]
request = urllib.request.Request(url + "api/kernels", b"{}", {"Authorization": "token " + token})
print(json.load(urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request))["id"])
"""
