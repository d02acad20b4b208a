"""What a process finds around it: settings of libraries, folders, streams, signals, made such that any command can run.

The rule: what a command does is set by params.yaml and its own options. So settings of the libraries that we build on
do not come in from environment variables. The user's are where things are (COLOURGAN_CACHE, HOME, HF_ENDPOINT, TMPDIR,
XDG_*), how the network is reached (proxies, certificates), how a terminal shows things, and which processors are used.
A launcher's say that this process is one of several.
"""

import atexit
import getpass
import os
import re
import shutil
import signal
import sys
import tempfile
import traceback
import warnings
from pathlib import Path
from types import FrameType

from pipeline.system.errors import PipelineError, Stopped
from pipeline.system.place import Place

# How the names of variables begin that libraries would read: of Typer, tqdm, fastai, matplotlib, torch, scikit-learn,
# SciPy, pandas, and, for the page, Gradio, Hugging Face and uvicorn.
LIBRARIES = (
    *("TYPER_", "_TYPER_", "TERMINAL_WIDTH", "TQDM_", "FASTAI_", "DEFAULT_GPU", "RANK", "WORLD_SIZE", "MPLBACKEND"),
    *("MATPLOTLIBRC", "TORCH_LOGS", "TORCH_TRACE", "SKLEARN_", "SCIPY_", "PANDAS_", "PYTHONWARNINGS"),
    *("GRADIO_", "HF_", "HUGGING", "SPACE", "OAUTH_", "UVICORN_", "WEB_CONCURRENCY", "FORWARDED_ALLOW_IPS"),
)
WHOLE = ("SYSTEM",)  # of Gradio; without SYSTEMROOT Windows opens no socket
PLACES = ("HF_ENDPOINT",)  # which hub weights come from is the user's to say
NETWORK = ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "ssl_cert_file", "ssl_cert_dir", "sslkeylogfile")
WEB = (
    "fastapi",
    "gradio",
    "psutil",
    "starlette",
    "uvicorn",
)  # what the extra brings; `train` has all others
UNHEARD = (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning)  # Python's default

# How often a thread that waits for others looks, before it sleeps: some tenths of a millisecond. By default libgomp's
# looks for many milliseconds: should another program have taken a core from the one that it waits for, it keeps the
# other core from both. To sleep at once takes longer, too, for each waking waits for its turn (docs/benchmarks.md).
SPINS = "10000"


stand_in: Path | None = None  # for a home folder that is not there; it goes with the process
place: Place | None = None  # if a launcher started several processes


def settle() -> None:
    """Make this process one in which any command can run; nothing but Python's own library may be imported before.

    Raises:
        PipelineError: there is no folder for temporary files.
    """
    global place
    _open_streams()
    _heed_signals()
    place = _find_place()
    for name, value in list(os.environ.items()):
        relative = name.startswith("XDG_") and name.endswith("_HOME") and not Path(value).is_absolute()
        of_a_library = name in WHOLE or (name.startswith(LIBRARIES) and name not in PLACES)
        if of_a_library or relative:  # which the standard has ignored, too
            del os.environ[name]
    os.environ |= {"MPLBACKEND": "agg", "MATPLOTLIBRC": os.devnull}  # no windows, and plots that look the same for all
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPINS)  # libgomp reads it when torch loads it
    os.environ["PYTORCH_ENABLE_MPS_FALLBACK"] = "1"  # the CPU computes what Apple's GPUs cannot; read with torch
    for name in ("COLUMNS", "LINES"):
        if not os.environ.get(name, "").strip("0").isdecimal():
            os.environ.pop(name, None)
    warnings.resetwarnings()  # -W error would have libraries fail of what their authors tell each other
    for category in UNHEARD:
        warnings.simplefilter("ignore", category)
    # fastai scripts two functions with torch.jit when it is imported, of which torch warns.
    warnings.filterwarnings("ignore", "`torch.jit.script", FutureWarning)
    _find_folders()


def _find_place() -> Place | None:
    """What torchrun or Slurm's srun says, for a stray RANK may lie about; MASTER_ADDR and MASTER_PORT are set after it.

    Raises:
        PipelineError: the launcher's variables are not numbers, or not there.
    """
    if "TORCHELASTIC_RUN_ID" in os.environ:
        names = "RANK", "WORLD_SIZE", "LOCAL_RANK"
    elif "SLURM_STEP_NODELIST" in os.environ:
        names = "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID"
    else:
        return None
    try:
        found = Place(*(int(os.environ[name]) for name in names))
    except (KeyError, ValueError):
        given = ", ".join(f"{name}={os.environ.get(name, '')}" for name in names)
        raise PipelineError(f"given {given}, allowed: what torchrun or srun sets; start it by one of them") from None
    if found.count > 1 and "SLURM_STEP_NODELIST" in os.environ:
        os.environ.setdefault("MASTER_ADDR", first_host(os.environ["SLURM_STEP_NODELIST"]))
        os.environ.setdefault("MASTER_PORT", str(20000 + int(os.environ.get("SLURM_JOB_ID", "0")) % 10000))
    if found.count > 1:
        return found
    os.environ.pop("TORCHELASTIC_RUN_ID", None)  # lest processes that share the work take it for theirs
    return None


def first_host(hosts: str) -> str:
    """Of a list of hosts as Slurm writes it, such as gpu[03-06,09],login → gpu03."""
    found = re.match(r"([^\[,]*)(?:\[(\d+))?", hosts)  # which any text has
    return "".join(found.groups("")) if found else hosts


def without_network() -> None:
    """Forget proxies and certificates, which the page's server would use, or fail of, when it looks for itself."""
    for name in list(os.environ):
        if name.lower() in NETWORK:
            del os.environ[name]


def _open_streams() -> None:
    """Streams that show any letter, and that are there, lest a file that is opened next be taken for one of them."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            stream = open(number, mode, closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)
        elif mode == "w":
            getattr(sys, name).reconfigure(errors="backslashreplace")


def _heed_signals() -> None:
    """End by SIGTERM and SIGHUP as by Ctrl-C: everything is closed, and one line says how to go on."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_DFL:  # a shell has it ignored for what runs in the background
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if sys.platform == "linux":
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # see memory.keep
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has but one of them
        if number and signal.getsignal(number) == signal.SIG_DFL:  # nohup has it ignored
            signal.signal(number, _interrupt)


def _interrupt(number: int, _: FrameType | None) -> None:
    Stopped.exit_code = 128 + number
    raise KeyboardInterrupt


def _find_folders() -> None:
    """A home and a user's name, which libraries want when they are imported, and a folder for temporary files."""
    global stand_in
    try:
        os.environ["TMPDIR"] = tempfile.gettempdir()
    except FileNotFoundError:
        raise PipelineError(
            "no folder for temporary files may be written; make room there, or set TMPDIR to a folder that may be"
        ) from None
    try:
        home = Path.home()
    except RuntimeError:  # HOME is not set, and the system does not know the user
        home = None
    if not home or not home.is_dir() or not os.access(home, os.W_OK | os.X_OK):
        stand_in = Path(tempfile.mkdtemp(prefix="colourgan-home-"))
        atexit.register(shutil.rmtree, stand_in, ignore_errors=True)
        os.environ |= dict.fromkeys(("HOME", "USERPROFILE"), str(stand_in))  # the latter is what Windows calls it
    try:
        getpass.getuser()
    except (ImportError, KeyError, OSError):
        os.environ["USER"] = f"user-{getattr(os, 'getuid', os.getpid)()}"  # Windows has no numbers of users


def import_failure(error: Exception) -> str | None:
    """A line about a library that could not be imported, as of a setting that it does not know, or half installed.

    Args:
        error: what ended the command.

    Returns:
        None if it was raised by anything but a library's import.
    """
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    importing = [frame.f_globals["__name__"] for frame in frames if frame.f_code.co_name == "<module>"]
    libraries = [name.partition(".")[0] for name in importing if name.partition(".")[0] not in ("__main__", "pipeline")]
    library = libraries[-1] if libraries else getattr(error, "name", None)  # of an ImportError
    if not library:
        return None
    library = library.partition(".")[0]
    if isinstance(error, ModuleNotFoundError) and not libraries:
        extra = "web" if library in WEB else "train"
        return (
            f"{library} is not installed, and this command needs it; "
            f"say pip install '.[{extra}]' in the folder of the project"
        )
    reason = " ".join(str(error).split())
    return (
        f"{library} cannot be imported: {type(error).__name__}: {reason}; unset what the environment has for it, "
        "or delete .venv and run `make install`"
    )
