"""One environment: what is asked for is locked, and every lab's kernel is quiet and deterministic."""

import ast
import base64
import hashlib
import importlib.metadata
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from types import SimpleNamespace

import environment
import pdf
import programs
import pytest
from conftest import ROOT, code_cells

LEVELS = ("", "-dev", "-class")
ASKED = {level: (ROOT / f"requirements{level}.in").read_text() for level in LEVELS}
LOCK = {level: (ROOT / f"requirements{level}.txt").read_text() for level in LEVELS}
each_level = pytest.mark.parametrize("level", LEVELS, ids=["learners", "makers", "class"])


def names(text):
    return re.findall(r"^([A-Za-z][\w.-]*)", text, flags=re.MULTILINE)


def versions(level):
    return dict(re.findall(r"^([A-Za-z][\w.-]*)(?:\[[^]]*\])?==([^\s;]+)", LOCK[level], flags=re.MULTILINE))


@each_level
def test_everything_asked_for_has_a_reason_or_is_named_by_the_course(level):
    fixed = {"matplotlib", "scikit-learn", "scipy"}
    unexplained = [
        line
        for line in ASKED[level].splitlines()
        if line and "#" not in line and line.split()[0] not in {*fixed, "-c"}
    ]
    assert not unexplained


@each_level
def test_everything_asked_for_is_locked(level):
    assert set(names(ASKED[level])) <= set(names(LOCK[level]))


@each_level
def test_the_lock_has_a_digest_for_everything_and_names_no_host(level):
    pinned = re.findall(
        r"^[A-Za-z][\w.\-\[\]]*==[^\\]*\\\n\s+--hash=sha256:", LOCK[level], flags=re.MULTILINE
    )
    assert len(pinned) == len(names(LOCK[level]))
    assert "://" not in LOCK[level]


@pytest.mark.parametrize(("other", "many"), [("-dev", 50), ("-class", 30)])
def test_what_two_locks_name_has_one_version(other, many):
    learners, others = versions(""), versions(other)
    shared = learners.keys() & others.keys()
    assert len(shared) > many
    assert {name: learners[name] for name in shared} == {name: others[name] for name in shared}


def test_nothing_is_asked_for_twice():
    assert not set(names(ASKED[""])) & set(names(ASKED["-dev"]))


def imported(source):
    """The top-level modules that a Python source imports."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module.partition(".")[0]


def sources_of_learners():
    """(file, Python source) of all that the verbs of a learner run: labs, the book, the programs it prints."""
    for path in sorted((ROOT / "labs").glob("*.ipynb")):
        for cell in code_cells(path):
            yield path.name, re.sub(r"^\s*[%!].*$", "", cell.source.partition("%%")[0], flags=re.MULTILINE)
    makers = {"bench.py", "cover.py", "pdf.py", "poster.py", "record.py", "steady.py"}
    for folder in ("labs", "extensions", "scripts", "chapters", "tally"):
        for path in (ROOT / folder).rglob("*.py"):
            if path.name not in makers:
                yield path.name, path.read_text()


def test_a_learner_s_verbs_import_only_what_is_locked_for_learners():
    locked = {name.lower().replace("_", "-") for name in names(LOCK[""])}
    distributions = importlib.metadata.packages_distributions()
    missing = [
        (file, module)
        for file, source in sources_of_learners()
        for module in imported(source)
        if module in distributions
        and module not in programs.EXTRAS
        and not {name.lower().replace("_", "-").replace(".", "-") for name in distributions[module]}
        & {*locked, "mastering-mlops"}
    ]
    assert not missing
    assert "sklearn" in {module for _, source in sources_of_learners() for module in imported(source)}


def test_the_kernel_sends_no_telemetry_and_sums_in_one_order():
    kernel = json.loads((Path(sys.prefix) / "share/jupyter/kernels/python3/kernel.json").read_text())
    assert kernel["env"]["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert kernel["env"]["DO_NOT_TRACK"] == "true"
    assert kernel["env"]["OMP_NUM_THREADS"] == "1"


def make(*arguments, cwd=ROOT, **environment):
    command = [shutil.which("make"), "--no-print-directory", *arguments]
    without = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL")}
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, env=without | environment)


@pytest.mark.parametrize(
    "verb",
    "book pdf epub test lab record answers class serve bench check steady clean data fonts lock".split(),
)
def test_make_alone_lists_the_verb(verb):
    assert re.search(rf"^{verb}\s+\w", make().stdout, flags=re.MULTILINE)


def test_a_shell_s_own_words_are_not_meant_for_us():
    shell = {"HOST": "of-the-shell", "PORT": "3000", "NETWORK": "yes", "LABS": "all", "FORGET": "ada"}
    said = make("-n", "class", **shell).stdout
    assert "scripts/classroom.py" in said
    assert not [word for word in ("of-the-shell", "3000", "--network", "--labs", "--forget") if word in said]
    assert '--host "192.0.2.7"' in make("-n", "class", "HOST=192.0.2.7", **shell).stdout


def test_each_word_of_a_verb_is_said_on_the_command_line():
    text = (ROOT / "Makefile").read_text()
    [words] = re.findall(r"^WORDS := (.*)$", text, re.M)
    asked = set(re.findall(r"\$\((?:or|if) \$\(([A-Z]+)\)", text)) | {"STICK", "UPGRADE"}
    assert set(words.split()) == asked


def test_nothing_of_a_hook_or_of_another_python_reaches_a_verb(tmp_path):
    (tmp_path / "Makefile").write_text(f"include {ROOT}/Makefile\nseen:\n\t@env\n")
    theirs = {"GIT_DIR": "/theirs", "GIT_OF_A_HOOK": "1", "PYTHONOPTIMIZE": "2", "PYTHON_OF_TOMORROW": "1"}
    seen = make("seen", cwd=tmp_path, **theirs, BOOK_URL="https://example.org").stdout
    assert "BOOK_URL=https://example.org" in seen
    assert not [name for name in theirs if f"{name}=" in seen]


def test_one_verb_at_a_time_makes_the_environment(tmp_path):
    (tmp_path / "Makefile").write_text(
        f"include {ROOT}/Makefile\na b:\n\t@echo $@ begins; sleep 0.2; echo $@ ends\n"
    )
    assert make("-j2", "a", "b", cwd=tmp_path).stdout.split("\n")[:2] == ["a begins", "a ends"]


def test_a_python_that_keeps_no_docstrings_makes_the_environment():
    for program in ("environment.py", "preflight.py"):
        done = subprocess.run(
            [sys.executable, "-OO", ROOT / "scripts" / program, "--help"], capture_output=True, text=True
        )
        assert (done.returncode, done.stderr) == (0, "")


def test_every_font_is_used_and_stands_beside_its_licence():
    fonts = {path.name for path in (ROOT / "_assets" / "fonts").glob("*.woff2")}
    assert fonts == set(re.findall(r"[a-z0-9-]+\.woff2", (ROOT / "_assets" / "book.css").read_text()))
    licences = {path.stem: path.read_text() for path in (ROOT / "_assets" / "fonts").glob("LICENSE-*.txt")}
    assert set(licences) == {"LICENSE-" + name.partition("-latin-")[0] for name in fonts}
    assert all("SIL OPEN FONT LICENSE Version 1.1" in text for text in licences.values())


def test_clean_leaves_what_the_course_did_not_make(tmp_path):
    mine = [
        "my-class/homes/ada/a",
        "my-labs/__pycache__/a.pyc",
        "my-labs/.hypothesis/a",
        "my-labs/a.ipynb",
        "labs/a.ipynb",
    ]
    made = ["_build/a", ".venv/a", ".hypothesis/a", ".ruff_cache/a", ".pytest_cache/a"]
    made += [f"{folder}/__pycache__/a.pyc" for folder in ("labs", "scripts", "tests/tally")]
    folders = "chapters data extensions labs scripts tally tests".split()
    for name in [*mine, *made, *(f"{folder}/a" for folder in folders)]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    done = make("-f", ROOT / "Makefile", "clean", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert not [name for name in made if (tmp_path / name).parent.exists()]
    assert all((tmp_path / name).exists() for name in mine)


def test_nothing_in_the_makefile_needs_another_sed_than_that_of_macos():
    commands = re.findall(r"\bsed\b[^|\n]*", (ROOT / "Makefile").read_text())
    assert commands
    assert not [command for command in commands if re.search(r"\\[tnsSwWbdD+?|]|-[rizE]*[riz]", command)]


def test_serve_finds_what_the_book_s_settings_name(tmp_path):
    done = make(f"SERVE={tmp_path}", f"{tmp_path}/conf.py")
    assert done.returncode == 0, done.stderr
    settings = runpy.run_path(str(tmp_path / "conf.py"))
    named = [
        *settings["templates_path"],
        *settings["html_static_path"],
        *settings["bibtex_bibfiles"],
        settings["html_favicon"],
    ]
    assert len(named) >= 4
    assert not [name for name in named if not (tmp_path / name).exists()]
    assert not (ROOT / "conf.py").exists()


def test_fonts_without_npm_says_how(tmp_path):
    done = make("fonts", PATH=str(tmp_path))
    assert done.returncode != 0
    assert "apt install npm" in done.stdout


def test_record_without_a_lab_says_how():
    done = make("record")
    assert done.returncode != 0
    assert "make record LAB=07_drift_detection" in done.stderr


def test_record_of_an_unknown_lab_lists_the_labs():
    done = make("record", "LAB=no_such_lab")
    assert done.returncode != 0
    assert "07_drift_detection" in done.stderr


# scripts/environment.py: what it refuses, what it hands on, and one whole installation without a network.


@pytest.mark.parametrize(
    ("version", "modules", "said"),
    [
        ((3, 9, 1), (), "needs Python 3.11 or newer, and this is 3.9.1"),
        ((3, 11, 0), ("no_such_module",), "apt install python3-venv"),
    ],
)
def test_an_unfit_python_gets_one_clear_sentence(version, modules, said, tmp_path):
    with pytest.raises(environment.Unfit) as refused:
        environment.check_machine(version, modules, tmp_path)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_too_little_room_is_said_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(
        shutil, "disk_usage", lambda _: os.terminal_size((0, 0)) and shutil._ntuple_diskusage(9, 9, 0)
    )
    with pytest.raises(environment.Unfit, match="4 GB, and less is free"):
        environment.check_machine((3, 11, 0), (), tmp_path / ".venv")


@pytest.mark.skipif(os.name == "nt", reason="the separator of PATH is another one there")
@pytest.mark.parametrize("name", ["a:b", "100%", "a\nb"])
def test_a_folder_that_no_environment_works_in_is_refused(tmp_path, name):
    with pytest.raises(environment.Unfit, match="rename it"):
        environment.check_machine((3, 11, 0), (), tmp_path / name / ".venv")


@pytest.mark.parametrize("there", ["a file", "a link to nothing"])
def test_what_is_no_folder_in_the_environment_s_place_is_named(tmp_path, there):
    if there == "a file":
        (tmp_path / ".venv").write_text("")
    else:
        (tmp_path / ".venv").symlink_to(tmp_path / "gone")
    with pytest.raises(environment.Unfit, match=r"\.venv is not a folder.*remove it or rename it"):
        environment.check_machine((3, 11, 0), (), tmp_path / ".venv")


@pytest.mark.parametrize("program", ["environment.py", "lab.py"])
def test_an_old_python_can_read_the_program_that_refuses_it(program):
    ast.parse((ROOT / "scripts" / program).read_text(), feature_version=(3, 6))


@pytest.fixture
def settle(tmp_path):
    """Ask what pip and uv would get from variables, a pip.conf and a uv.toml: (environment, uv's settings)."""

    def ask(pip_conf="", uv_toml="", **variables):
        (tmp_path / "pip.conf").write_text(pip_conf)
        (tmp_path / "uv").mkdir(exist_ok=True)
        (tmp_path / "uv" / "uv.toml").write_text(uv_toml)
        user = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "PIP_CONFIG_FILE": str(tmp_path / "pip.conf"),
        }
        user |= {"XDG_CONFIG_HOME": str(tmp_path), "XDG_CONFIG_DIRS": str(tmp_path)}
        child, toml = environment.settle(sys.executable, user | variables)
        return child, tomllib.loads(toml)

    return ask


def test_what_would_put_packages_elsewhere_reaches_neither_pip_nor_uv(settle):
    child, toml = settle(
        pip_conf="[global]\nuser = true\n[install]\ntarget = /tmp/elsewhere\nrequire-hashes = true\n",
        uv_toml='[pip]\nsystem = true\ntarget = "/tmp/elsewhere"\n',
        PIP_USER="1", PIP_TARGET="t", PIP_PREFIX="p", PIP_ROOT="r", PIP_REQUIRE_HASHES="1", PIP_CONSTRAINT="c",
        UV_SYSTEM_PYTHON="1", UV_TARGET="t", UV_PROJECT_ENVIRONMENT="e", UV_PYTHON="3.9", UV_CONSTRAINT="c",
        VIRTUAL_ENV="v", CONDA_PREFIX="c", PYTHONPATH="p", PYTHONHOME="h", PYTHONUSERBASE="b", MPLBACKEND="agg",
        JUPYTER_CONFIG_DIR="j",
    )  # fmt: skip
    allowed = {
        "PIP_CONFIG_FILE",
        "PIP_DISABLE_PIP_VERSION_CHECK",
        "PIP_CERT",
        "SSL_CERT_FILE",
        "PIP_FIND_LINKS",
    }
    allowed |= {"PATH", "HOME", "XDG_CONFIG_HOME", "XDG_CONFIG_DIRS", "PYTHONNOUSERSITE", "PYTHONUTF8"}
    assert set(child) <= allowed
    assert child["PIP_CONFIG_FILE"] == os.devnull
    assert not {"system", "target"} & set(toml)


@pytest.mark.parametrize("where", ["variable", "file"])
def test_a_mirror_named_for_pip_alone_is_uv_s_too(settle, where):
    url = "https://mirror.example/simple"
    child, toml = (
        settle(PIP_INDEX_URL=url)
        if where == "variable"
        else settle(pip_conf=f"[global]\nindex-url = {url}\n")
    )
    assert toml["index-url"] == child["PIP_INDEX_URL"] == url


@pytest.mark.parametrize("where", ["variable", "old variable", "file", "file, old"])
def test_a_mirror_named_for_uv_alone_is_pip_s_too(settle, where):
    url = "https://mirror.example/simple"
    child, _ = {
        "variable": lambda: settle(UV_DEFAULT_INDEX=url),
        "old variable": lambda: settle(UV_INDEX_URL=url),
        "file": lambda: settle(uv_toml=f'[[index]]\nname = "m"\nurl = "{url}"\ndefault = true\n'),
        "file, old": lambda: settle(uv_toml=f'[pip]\nindex-url = "{url}"\n'),
    }[where]()
    assert child["PIP_INDEX_URL"] == url


def test_each_keeps_a_mirror_of_its_own(settle):
    child, toml = settle(
        PIP_INDEX_URL="https://pip.example/simple", UV_DEFAULT_INDEX="https://uv.example/simple"
    )
    assert child["PIP_INDEX_URL"] == "https://pip.example/simple"
    assert child["UV_DEFAULT_INDEX"] == "https://uv.example/simple"
    assert "index-url" not in toml


def test_several_indexes_are_asked_as_pip_asks_them(settle):
    _child, toml = settle(
        PIP_EXTRA_INDEX_URL="https://a.example/simple https://b.example/simple file:///no/such"
    )
    assert toml["extra-index-url"] == ["https://a.example/simple", "https://b.example/simple"]
    assert toml["index-strategy"] == "unsafe-best-match"


def test_folders_of_files_are_found_from_everywhere_and_missing_ones_left_out(settle, tmp_path, monkeypatch):
    (tmp_path / "wheels").mkdir()
    monkeypatch.chdir(tmp_path)
    child, toml = settle(PIP_FIND_LINKS="wheels /no/such https://mirror.example/files")
    assert toml["find-links"] == [str(tmp_path / "wheels"), "https://mirror.example/files"]
    assert child["PIP_FIND_LINKS"] == " ".join(toml["find-links"])


def test_a_folder_of_files_may_have_a_space_in_its_name(settle, tmp_path):
    (tmp_path / "USB STICK").mkdir()
    place = (tmp_path / "USB STICK").as_uri()
    assert "%20" in place
    child, _ = settle(UV_FIND_LINKS=str(tmp_path / "USB STICK"))
    assert child["PIP_FIND_LINKS"] == place
    child, toml = settle(pip_conf=f"[global]\nfind-links = {place}\n")
    assert (child["PIP_FIND_LINKS"], toml["find-links"]) == (place, [place])


def test_packages_from_a_folder_alone_come_from_nowhere_else(settle, tmp_path):
    (tmp_path / "a, b").mkdir()
    place = (tmp_path / "a, b").as_uri()
    theirs = {
        "pip_conf": "[global]\nfind-links = https://a.example\n",
        "uv_toml": 'find-links = ["https://b.example"]\nno-index = false\n',
        "UV_OFFLINE": "0",
    }
    child, toml = settle(**theirs | environment.from_folder(tmp_path / "a, b"))
    assert child["PIP_FIND_LINKS"] == child["UV_FIND_LINKS"] == place and "," not in place
    assert child["PIP_NO_INDEX"] == child["UV_OFFLINE"] == "1" and toml["no-index"] is True
    assert "find-links" not in toml
    with pytest.raises(environment.Unfit, match="no such folder"):
        environment.from_folder(tmp_path / "gone")


def test_certificates_proxies_and_patience_are_shared(settle):
    child, toml = settle(
        pip_conf="[global]\ncert = /my certs/c.pem\nproxy = http://proxy.example:3128\ntimeout = 99\ntrusted-host = a b\n",
    )
    assert child["SSL_CERT_FILE"] == child["PIP_CERT"] == "/my certs/c.pem"
    assert child["HTTPS_PROXY"] == child["PIP_PROXY"] == "http://proxy.example:3128"
    assert child["UV_HTTP_TIMEOUT"] == child["PIP_TIMEOUT"] == "99"
    assert toml["allow-insecure-host"] == ["a", "b"]


def test_certificates_of_the_whole_session_are_pip_s_too(settle, monkeypatch):
    monkeypatch.setattr(environment, "pip_settings", lambda *_: {})
    child, _ = settle(SSL_CERT_FILE="/session.pem")
    assert child["PIP_CERT"] == "/session.pem"


def test_a_folder_below_the_home_is_found(settle, tmp_path, monkeypatch):
    (tmp_path / "wheels").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    whole = str(tmp_path / "wheels")
    child, toml = settle(pip_conf="[global]\nfind-links = ~/wheels\ncert = ~/c.pem\n")
    assert (toml["find-links"], child["PIP_FIND_LINKS"]) == ([whole], whole)
    assert child["SSL_CERT_FILE"] == child["PIP_CERT"] == str(tmp_path / "c.pem")
    child, toml = settle(uv_toml='find-links = ["~/wheels"]\n')
    assert (toml["find-links"], child["PIP_FIND_LINKS"]) == ([whole], whole)


def test_an_index_for_packages_that_a_project_names_is_not_pip_s(settle):
    child, _ = settle(uv_toml='[[index]]\nname = "m"\nurl = "https://m.example"\nexplicit = true\n')
    assert "PIP_EXTRA_INDEX_URL" not in child


@pytest.mark.parametrize(
    "toml",
    [
        "[pip\n",
        "pip = 3\n",
        'index = "https://mirror.example"\n',
        'index = ["https://mirror.example"]\n',
        '[[index]]\nname = "mirror"\n',
        "index-url = 3\n",
        'find-links = "wheels"\n',
        '[pip]\nno-index = "yes"\n',
    ],
)
@pytest.mark.parametrize("where", ["user", "UV_CONFIG_FILE"])
def test_uv_s_settings_that_uv_would_not_read_are_named(tmp_path, toml, where):
    path = tmp_path / "uv" / "uv.toml"
    path.parent.mkdir()
    path.write_text(toml)
    found = {"UV_CONFIG_FILE": str(path)} if where == "UV_CONFIG_FILE" else {"XDG_CONFIG_HOME": str(tmp_path)}
    with pytest.raises(environment.Unfit) as refused:
        environment.uv_settings(found | {"APPDATA": str(tmp_path)})
    assert f"uv's settings in {path} cannot be read: " in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_missing_file_of_uv_s_settings_is_named(tmp_path):
    with pytest.raises(environment.Unfit, match=r"UV_CONFIG_FILE names .*gone\.toml, and no such file"):
        environment.uv_settings({"UV_CONFIG_FILE": str(tmp_path / "gone.toml")})


def test_pip_s_settings_that_pip_cannot_read_are_named():
    with pytest.raises(environment.Unfit, match="pip cannot read"):
        environment.pip_settings(sys.executable, os.environ | {"PIP_CONFIG_FILE": str(ROOT / "Makefile")})
    with pytest.raises(environment.Unfit, match="no-such-feature"):  # which pip says elsewhere
        environment.pip_settings(sys.executable, os.environ | {"PIP_USE_FEATURE": "no-such-feature"})


def wheel(folder, name, version, files):
    """Write a wheel of `files` ({path: bytes}) into `folder`; return its line in a lock."""
    info = f"{name}-{version}.dist-info"
    files = files | {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }

    def record(content):
        return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")

    rows = [f"{path},{record(content)},{len(content)}" for path, content in files.items()]
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name_inside, content in files.items():
            entry = zipfile.ZipInfo(name_inside)
            entry.external_attr = 0o100755 << 16  # a program, for uv is one
            archive.writestr(entry, content)
        archive.writestr(f"{info}/RECORD", "\n".join([*rows, f"{info}/RECORD,,", ""]))
    return f"{name}=={version} \\\n    --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


def uv_again(folder):
    """Write a wheel of the uv that is installed here; return its line in a lock."""
    uv = importlib.metadata.distribution("uv")
    files = {
        str(path): path.locate().read_bytes()
        for path in uv.files
        if path.parts[0] == "uv" and "__pycache__" not in path.parts
    }
    program = next(path.locate() for path in uv.files if path.name in ("uv", "uv.exe"))
    files[f"uv-{uv.version}.data/scripts/{program.name}"] = program.read_bytes()
    return wheel(folder, "uv", uv.version, files)


KERNELSPEC = """
from pathlib import Path

def get_kernel_dict():
    return {"argv": ["python", "-f", "{connection_file}"]}

def install(kernel_name, prefix):
    folder = Path(prefix, "share", "jupyter", "kernels", kernel_name)
    folder.mkdir(parents=True, exist_ok=True)
    return str(folder)
"""


by_one_worker = pytest.mark.xdist_group("installed")  # an installation takes a while


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A tiny course in a folder with a hard name, installed by the real program without a network.

    The folder of wheels is named for pip alone, all that could lead astray is set, and an earlier attempt was
    interrupted. Returns (folder of the course, how to call the program again).
    """
    base = tmp_path_factory.mktemp("machine")
    home, wheels, course = base / "home", base / "wheels", base / "it's #1 $x café"
    for folder in (home, wheels, course / "scripts", course / ".venv" / "bin"):
        folder.mkdir(parents=True)
    (course / ".venv" / "bin" / "python").write_text("half a file")
    for name in ("pyproject.toml", "scripts/environment.py", "scripts/kernel.py", "labs/hermetic.py"):
        (course / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, course / name)
    (course / "tally").mkdir()
    (course / "tally" / "__init__.py").write_text("PRICE = 1\n")
    log = b"import sys; print(sys.argv[1:], file=open(sys.prefix + '/lab.log', 'w'))"
    lock = [
        uv_again(wheels),
        wheel(wheels, "ipykernel", "1", {"ipykernel/kernelspec.py": KERNELSPEC.encode()}),
        wheel(wheels, "jupyterlab", "1", {"jupyterlab/labextensions.py": log}),
        wheel(wheels, "matplotlib", "1", {"matplotlib/font_manager.py": b""}),
    ]
    (course / "requirements.txt").write_text("".join(lock))
    more = wheel(wheels, "for_makers", "1", {"for_makers.py": b""})
    (course / "requirements-dev.txt").write_text(more.replace("for_makers", "for-makers"))
    (home / "pip.conf").write_text(f"[global]\nno-index = true\nfind-links = {wheels}\nuser = true\n")

    def call(*options, at=course, **variables):
        astray = {name: str(home / "astray") for name in (
            "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "UV_TARGET", "UV_PREFIX", "UV_PROJECT_ENVIRONMENT", "VIRTUAL_ENV",
            "CONDA_PREFIX", "PYTHONPATH", "PYTHONUSERBASE", "JUPYTER_CONFIG_DIR",
        )}  # fmt: skip
        switches = {"PIP_USER": "1", "PIP_REQUIRE_HASHES": "1", "UV_SYSTEM_PYTHON": "1", "UV_PYTHON": "3.9"}
        user = {"HOME": str(home), "PATH": os.environ["PATH"], "PIP_CONFIG_FILE": str(home / "pip.conf")}
        user |= {"UV_CACHE_DIR": str(base / "cache")}
        return subprocess.run(
            [sys._base_executable, at / "scripts" / "environment.py", *options],
            capture_output=True, text=True, cwd=base, env=user | astray | switches | variables,
        )  # fmt: skip

    done = call()
    assert done.returncode == 0, done.stdout + done.stderr
    assert not (home / "astray").exists()
    return course, call


def python_of(course, code):
    python = environment.programs(course / ".venv") / "python"
    return subprocess.run(
        [python, "-c", code], capture_output=True, text=True, check=True, cwd="/"
    ).stdout.strip()


@by_one_worker
def test_an_installation_without_a_network_is_whole(installed):
    course, _ = installed
    assert python_of(course, "import tally; print(tally.__file__)") == str(course / "tally" / "__init__.py")
    kernel = course / ".venv" / "share" / "jupyter" / "kernels" / "python3" / "kernel.json"
    assert json.loads(kernel.read_text())["env"]["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert "announcements" in (course / ".venv" / "lab.log").read_text()


@by_one_worker
def test_the_second_call_has_nothing_to_do(installed):
    _, call = installed
    done = call(PIP_FIND_LINKS="/nowhere")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@by_one_worker
def test_a_course_that_was_copied_with_its_environment_gets_one_of_its_own(installed, tmp_path):
    course, call = installed
    copy = tmp_path / "elsewhere it's #1 $x café"
    shutil.copytree(course, copy, symlinks=True)

    def wanted(folder):
        return make("-n", "-f", ROOT / "Makefile", ".venv/ready", cwd=folder).stdout

    assert "up to date" in wanted(course)
    assert "scripts/environment.py" in wanted(copy), "make sees it, though every file is as old as before"
    done = call(at=copy)
    assert f"moved or copied from {course}" in done.stdout
    assert python_of(copy, "import tally; print(tally.__file__)") == str(copy / "tally" / "__init__.py")
    assert "up to date" in wanted(copy)
    assert call(at=copy).stdout == "", "the second call has nothing to do"
    assert call().stdout == "", "and the first place keeps its own"


@by_one_worker
def test_a_second_name_of_the_same_folder_is_the_same_place(installed, tmp_path):
    course, _ = installed
    (tmp_path / "link").symlink_to(course)
    assert not environment.moved(tmp_path / "link")


@by_one_worker
def test_a_maker_s_environment_has_both_locks_and_keeps_them(installed):
    course, call = installed
    assert call("--dev").returncode == 0
    (course / "pyproject.toml").write_text((course / "pyproject.toml").read_text() + "\n")
    done = call()
    assert "for makers" in done.stdout
    assert python_of(course, "import for_makers, matplotlib; print('both')") == "both"


@by_one_worker
def test_a_digest_that_is_wrong_stops_everything(installed):
    course, call = installed
    lock = (course / "requirements.txt").read_text()
    wrong = re.sub(r"(uv==.*\n +--hash=sha256:)\w{4}", r"\g<1>0000", lock)
    (course / "requirements.txt").write_text(wrong)
    (course / ".venv" / "ready").unlink()  # as an interruption leaves it
    done = call()
    (course / "requirements.txt").write_text(lock)
    assert done.returncode == 1
    assert "Installing uv failed" in done.stderr
    assert not (course / ".venv" / "ready").exists()
    assert call().returncode == 0, "the next call heals it"


# The repository on somebody else's machine.


def test_a_clone_that_converts_line_ends_keeps_ours(tmp_path):
    git = ["git", "-c", "core.autocrlf=true", "-c", "core.eol=crlf", "clone", "--quiet", "--depth=1"]
    subprocess.run([*git, ROOT.as_uri(), tmp_path / "clone"], check=True, capture_output=True)
    converted = [
        path.relative_to(tmp_path).as_posix()
        for path in (tmp_path / "clone").rglob("*")
        if path.is_file()
        and ".git" not in path.parts
        and path.suffix not in (".png", ".parquet", ".woff2")
        and b"\r\n" in path.read_bytes()
    ]
    assert not converted
    assert (tmp_path / "clone" / ".ci" / "run").exists()


@pytest.mark.skipif(os.name == "nt", reason="a shell script stands in for the browser")
def test_a_browser_that_prints_nothing_gets_advice(tmp_path):
    browser = tmp_path / "chromium"
    browser.write_text("#!/bin/sh\necho cannot read the page >&2\nexit 1\n")
    browser.chmod(0o755)
    program = (
        "import sys, pdf; from pathlib import Path; pdf.print_page(sys.argv[1], *map(Path, sys.argv[2:]))"
    )
    words = [browser, tmp_path / "page.html", tmp_path / "book.pdf"]
    done = subprocess.run(  # a process of its own, without the browser of other tests
        [sys.executable, "-c", program, *words], cwd=Path(pdf.__file__).parent, capture_output=True, text=True
    )
    if "libatomic1" in done.stderr:
        pytest.skip(done.stderr)
    assert done.returncode == 1 and done.stderr.startswith(f"{browser} printed nothing. If it is a snap")


def test_a_library_that_playwright_lacks_is_named(tmp_path, monkeypatch):
    def start():
        raise Exception("Connection closed while reading from the driver")

    monkeypatch.setattr(pdf, "sync_playwright", lambda: SimpleNamespace(start=start))
    with pytest.raises(SystemExit, match=r"apt install libatomic1\. It said: Connection closed"):
        pdf.print_page("chromium", tmp_path / "page.html", tmp_path / "book.pdf")
