"""Networks of PyTorch as functions of clips: loaded once in a process, run by one thread at a time."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kineme.errors import KinemeError
from kineme.models.hub.snapshot import refuse_unfit_sizes
from kineme.models.native_stderr import suppress_native_stderr

_one_at_a_time = threading.Lock()  # PyTorch shares out the work of a clip by itself


def keep_triton_out() -> None:
    """Let PyTorch find Triton missing where TensorFlow is installed; nothing here is compiled with Triton.

    Builds of PyTorch for GPUs import it, which crashes a process that has imported TensorFlow: each has an LLVM of its
    own.
    """
    if importlib.util.find_spec("tensorflow"):
        sys.modules.setdefault("triton", None)  # type: ignore[arg-type]


def require_modules(name: str, modules: tuple[str, ...], extra: str) -> None:
    """Make modules of PyTorch safe to import; raise KinemeError, with what to install, where one is missing."""
    missing = [module for module in modules if not importlib.util.find_spec(module)]
    if missing:
        raise KinemeError(f"{name}: needs {' and '.join(missing)}: pip install 'kineme[{extra}]'")
    keep_triton_out()


def refuse_unfit_torchvision(name: str) -> None:
    """Raise KinemeError where torchvision is here and cannot be imported; transformers then fails with it."""
    if importlib.util.find_spec("torchvision"):
        try:
            importlib.import_module("torchvision")
        except Exception as error:  # PyTorch's own where their builds differ
            line = " ".join(str(error).split())[:100]
            raise KinemeError(
                f"{name}: torchvision cannot be imported beside this PyTorch ({line}); they must be of one build: "
                "install both from the same index, or uninstall torchvision"
            ) from error


@functools.lru_cache(maxsize=2)
def load_transformers(name: str, folder: Path, class_name: str, unused: str = "") -> Any:
    """A network of transformers in evaluation mode, float32, on the GPU where there is one.

    Args:
        name: pinned, for errors, and so that other files are read anew.
        folder: its checked files.
        class_name: in transformers.
        unused: beginning of the names of weights that it may lack.

    Raises:
        KinemeError: a library is missing, or the files do not hold this network.
    """
    require_modules(name, ("torch", "transformers"), "hf")
    refuse_unfit_sizes(name, folder)
    import torch
    import transformers

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    try:
        with suppress_native_stderr():
            network, told = getattr(transformers, class_name).from_pretrained(
                folder,
                local_files_only=True,
                use_safetensors=True,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # they are reported, and refused below
                dtype=torch.float32,
            )
    except Exception as error:  # whatever a wrong configuration makes of it
        refuse_unfit_torchvision(name)
        line = " ".join(str(error).split())[:300]
        raise KinemeError(f"{name}: transformers cannot load it as {class_name} ({line})") from error
    lacking = sorted(one for one in told["missing_keys"] if not (unused and one.startswith(unused)))
    if lacking:
        raise KinemeError(f"{name}: its files lack weights of {class_name} (see {lacking[0]!r})")
    if told["mismatched_keys"]:
        key, there, wanted = sorted(told["mismatched_keys"])[0]
        raise KinemeError(
            f"{name}: its weights do not fit its configuration ({key} has the shape {tuple(there)}, not "
            f"{tuple(wanted)})"
        )
    return network.eval().to(device())


def device() -> str:
    """Where PyTorch computes."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def run(function: Callable[[Any], Any], pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """What a function of tensors makes of an array, without gradients."""
    import torch

    with _one_at_a_time, torch.inference_mode():
        result: NDArray[np.float32] = function(torch.from_numpy(pixels).to(device())).float().cpu().numpy()
    return result
