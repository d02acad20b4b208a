import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path.cwd()
STRANGE = {  # settings that stop what they are for, or change what it does
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "MATPLOTLIBRC": "/no/such/file",
    "TERMINAL_WIDTH": "wide",
    "TYPER_USE_RICH": "perhaps",
    "COLUMNS": "0",
    "LINES": "-1",
    "TQDM_MININTERVAL": "often",
    "FASTAI_HOME": "/dev/null/no",
    "WORLD_SIZE": "many",
    "DEFAULT_GPU": "best",
    "TORCH_LOGS": "nonsense",
    "SKLEARN_WORKING_MEMORY": "much",
    "SCIPY_ARRAY_API": "1",
    "PYTHONWARNINGS": "error",
    "OMP_NUM_THREADS": "nonsense",
    "CUDA_VISIBLE_DEVICES": "",
    "TMPDIR": "/no/such/folder",
    "TZ": "No/Where",
    "LC_ALL": "xx_XX.UTF-8",
    "TERM": "dumb",
    "XDG_CACHE_HOME": "relative",
    "GRADIO_SERVER_PORT": "any",
    "GRADIO_NUM_PORTS": "many",
    "GRADIO_SHARE": "True",
    "GRADIO_ANALYTICS_ENABLED": "True",
    "GRADIO_ROOT_PATH": "https://elsewhere.example",
    "HF_HUB_DOWNLOAD_TIMEOUT": "long",
    "SYSTEM": "spaces",
    "FORWARDED_ALLOW_IPS": "*",
    "HTTP_PROXY": "socks://127.0.0.1:1",
    "https_proxy": "nonsense://",
    "ALL_PROXY": "socks5://127.0.0.1:1",
    "NO_PROXY": "[",
    "SSL_CERT_FILE": "/no/such/file",
    "SSL_CERT_DIR": "/no/such/folder",
}
UNKNOWN = """
import pwd
def unknown(*_):
    raise KeyError("uid not found")
pwd.getpwuid = unknown  # as in a container that runs as any number
"""


def python(program: str, arguments: list[str], folder: Path, **variables: str) -> subprocess.CompletedProcess:
    here = {name: os.environ.get(name, "") for name in ("PATH", "SYSTEMROOT")}  # without which Windows starts nothing
    environment = here | {"PYTHONPATH": str(ROOT)} | variables
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def test_whatever_the_environment_brings_all_that_the_commands_build_on_can_be_imported(tmp_path):
    program = (
        UNKNOWN
        + """
from pipeline.system import environment
environment.settle()
import pipeline.cli, pipeline.download, pipeline.train_gan, pipeline.evaluate, pipeline.colouring.colourise_files
environment.without_network()
import pipeline.serving.page
import matplotlib, gradio, os, tempfile, torch._inductor.runtime.cache_dir_utils as cache
from fastai.data.external import fastai_cfg
fastai_cfg()
cache.cache_dir()
print(matplotlib.get_backend(), os.environ["TMPDIR"] == tempfile.gettempdir(), environment.stand_in)
"""
    )
    done = python(program, [], tmp_path, **STRANGE)
    assert done.returncode == 0, done.stderr
    backend, temporary, home = done.stdout.split()
    assert (backend.lower(), temporary) == ("agg", "True")
    assert "Traceback" not in done.stderr
    assert "colourgan-home-" in home
    assert not Path(home).exists()
    assert not {"~", "relative"} & {path.name for path in tmp_path.iterdir()}


@pytest.mark.parametrize("home", [None, "/no/such/folder", "/dev/null"])
def test_a_home_is_there_for_as_long_as_the_command_runs(tmp_path, home):
    program = (
        UNKNOWN
        + """
from pathlib import Path
from pipeline.system import environment
environment.settle()
(Path.home() / "settings").write_text("are kept here")
print(Path.home())
"""
    )
    done = python(program, [], tmp_path, **({"HOME": home} if home else {}))
    assert "colourgan-home-" in done.stdout
    assert not Path(done.stdout.strip()).exists()


def test_a_home_that_can_be_written_is_the_users_and_so_is_how_the_network_is_reached(tmp_path):
    given = {"HOME": str(tmp_path), "HTTPS_PROXY": "http://proxy.example", "REQUESTS_CA_BUNDLE": "ours.pem"}
    given |= {"HF_ENDPOINT": "https://hub.example", "SYSTEMROOT": "C:/Windows"}  # without which it opens no socket
    program = f"""
import os
from pipeline.system import environment
environment.settle()
print({{name: os.environ[name] for name in {list(given)}}} == {given})
"""
    assert python(program, [], tmp_path, **given).stdout == "True\n"


@pytest.mark.parametrize(
    "given",
    [{"PYTHONIOENCODING": "ascii:strict"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}],
)
def test_what_a_stream_cannot_show_is_escaped(tmp_path, given):
    program = """
import sys
from pipeline.system import environment
environment.settle()
for stream in (sys.stdout, sys.stderr):
    print("\\u0394 of caf\\udce9", file=stream)
"""
    done = python(program, [], tmp_path, **given)
    assert done.returncode == 0
    assert done.stdout == done.stderr == "\\u0394 of caf\\udce9\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            "raise ValueError('a setting\\nis odd')",
            "error: no_library cannot be imported: ValueError: a setting is odd; unset what the environment has for "
            "it, or delete .venv and run `make install`\n",
        ),
        (
            None,
            "error: no_library is not installed, and this command needs it; say pip install '.[train]' in the folder "
            "of the project\n",
        ),
    ],
)
def test_a_library_that_cannot_be_imported_is_one_line_with_the_way_out(tmp_path, content, said):
    if content:
        (tmp_path / "no_library.py").write_text(content)
    program = """
import sys, types, typing
from pipeline.__main__ import main
from pipeline import measuring
measuring.report = stage = sys.modules["pipeline.measuring.report"] = types.ModuleType("report")
def run():
    sys.path.append(".")
    import no_library
stage.run = run
main()
"""
    done = python(program, ["report"], tmp_path)
    assert done.returncode == 1
    assert done.stderr == said


def test_a_mistake_of_our_own_is_not_taken_for_a_librarys(tmp_path):
    program = """
import sys, types
from pipeline.__main__ import main
from pipeline import measuring
measuring.report = stage = sys.modules["pipeline.measuring.report"] = types.ModuleType("report")
stage.run = lambda: 1 / 0
main()
"""
    assert "ZeroDivisionError" in python(program, ["report"], tmp_path).stderr.splitlines()[-1]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere torch comes with another OpenMP")
@pytest.mark.parametrize(
    ("given", "spins"),
    [({}, "10000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "passive"}, "0")],
)
def test_threads_of_torch_soon_sleep_when_they_wait_unless_the_user_says_otherwise(tmp_path, given, spins):
    program = "from pipeline.system import environment; environment.settle(); import torch; torch.ones(9).sum()"
    done = python(program, [], tmp_path, OMP_DISPLAY_ENV="verbose", **given)
    assert f"GOMP_SPINCOUNT = '{spins}'" in done.stderr
