"""Formats of other inference engines: how a Keras model is exported to each, and how the export is run.

Every writer starts from the same TensorFlow graph, with recurrent layers written out step by step, so that no engine
needs an LSTM of its own. Writing needs Keras on TensorFlow and the tools of the format; running needs the engine.
"""

from __future__ import annotations

import importlib.util
import logging
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kineme.errors import KinemeError, UsageError
from kineme.models.native_stderr import suppress_native_stderr
from kineme.models.tracing import on_tensorflow, saved_model, traceable, unrolled

Arrays = dict[str, NDArray[Any]]
Run = Callable[[Arrays], Arrays]

_ONNX = ("onnxruntime", "onnx", "tf2onnx")
_TENSORFLOW = "'kineme[tensorflow]'"
_OPSET = 17  # of ONNX: read by every ONNX Runtime since 2022


@dataclass(frozen=True)
class Format:
    """One format.

    Args:
        name: as people choose it.
        engine: the common name of the runtime.
        suffix: of the written file; a folder if it is empty.
        modules: that writing and running import.
        install: what brings them.
        write: a traceable graph, the folder of its SavedModel, where to, and texts to keep inside if there is room.
        open: loads the written file, ready to run on so many threads.
    """

    name: str
    engine: str
    suffix: str
    modules: tuple[str, ...]
    install: str
    write: Callable[[Any, Path, Path, Mapping[str, str]], None]
    open: Callable[[Path, int], Run]


def check_format(name: str) -> None:
    """Raise UsageError where there is no format of that name."""
    if name not in FORMATS:
        raise UsageError(f"--format {name}: there is no such format; choose from {', '.join(FORMATS)}")


def require(format_: Format) -> None:
    """Raise KinemeError, with what to install, where a format cannot be written or run here."""
    missing = [module for module in format_.modules if not importlib.util.find_spec(module)]
    if missing:
        raise KinemeError(f"--format {format_.name} needs {', '.join(missing)}: pip install {format_.install}")


def write(
    format_: Format,
    network: Any,
    inputs: Sequence[str],
    outputs: Sequence[str],
    path: Path,
    texts: Mapping[str, str],
) -> None:
    """Write a Keras model in a format, with a batch of one.

    Args:
        format_: one of :data:`FORMATS`.
        network: built.
        inputs: names, in the network's order.
        outputs: names, in the network's order.
        path: ends in the format's suffix.
        texts: name and content of texts to keep inside, if the format has room for them.

    Raises:
        KinemeError: Keras does not run on TensorFlow, or the format lacks an operation.
    """
    if not on_tensorflow():
        raise KinemeError("exporting needs Keras on TensorFlow: unset KERAS_BACKEND")
    with unrolled([network], factorized_pooling=format_.name == "litert"):
        function = traceable(network, 1, inputs, outputs)
        with saved_model({"serving_default": function.get_concrete_function()}, [network]) as folder:
            try:
                with suppress_native_stderr():
                    format_.write(function, folder, path, texts)
            except Exception as error:  # each has classes of its own, most of them private
                line = " ".join(str(error).split())[:300]
                raise KinemeError(f"{format_.name} cannot hold this network: {line or type(error).__name__}") from error


def _write_litert(function: Any, folder: Path, path: Path, texts: Mapping[str, str]) -> None:
    import tensorflow as tf

    path.write_bytes(tf.lite.TFLiteConverter.from_saved_model(str(folder), ["serving_default"]).convert())


def _open_litert(path: Path, threads: int) -> Run:
    from ai_edge_litert.interpreter import Interpreter

    with suppress_native_stderr():
        run = Interpreter(model_path=str(path), num_threads=threads).get_signature_runner()
    return lambda arrays: dict(run(**arrays))


def _write_onnx(function: Any, folder: Path, path: Path, texts: Mapping[str, str]) -> None:
    import onnx
    import tf2onnx

    logging.getLogger("tf2onnx").setLevel(logging.CRITICAL)  # what it cannot do is told once
    model, _ = tf2onnx.convert.from_function(function, function.input_signature, opset=_OPSET)
    onnx.helper.set_model_props(model, dict(texts))
    onnx.save(model, path)


def _open_onnx(path: Path, threads: int) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda arrays: dict(zip(names, session.run(names, arrays), strict=True))


def _write_openvino(function: Any, folder: Path, path: Path, texts: Mapping[str, str]) -> None:
    openvino = load_openvino()
    model = openvino.Core().read_model(folder)  # convert_model does the same and reports it to its makers
    for port in (*model.inputs, *model.outputs):
        port.get_tensor().set_names({port.get_any_name()})
    for name, text in texts.items():
        model.set_rt_info(text, ["kineme", name])
    openvino.save_model(model, path, compress_to_fp16=False)


def _open_openvino(path: Path, threads: int) -> Run:
    return run_openvino(load_openvino().Core().read_model(path), threads)


def load_openvino() -> Any:
    """The module ``openvino``, without its telemetry.

    When it is imported, it reports that to its makers over the network, writes files into the home folder, and forks a
    process; not where the package ``openvino_telemetry`` cannot be found.
    """
    reporter = "openvino_telemetry"
    is_hidden = "openvino" not in sys.modules and reporter not in sys.modules
    if is_hidden:
        sys.modules[reporter] = None  # type: ignore[assignment]  # what Python takes for a module that is not there
    try:
        import openvino
    finally:
        if is_hidden:
            del sys.modules[reporter]
    return openvino


def run_openvino(model: Any, threads: int, precision: str = "f32") -> Run:
    """An ``openvino.Model`` ready to run on so many threads; by default, some processors use half precision."""
    how = {
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": precision,
        "PERFORMANCE_HINT": "LATENCY",
        "ENABLE_CPU_PINNING": False,  # each of several processes would pin its threads to the same cores
    }
    compiled = load_openvino().Core().compile_model(model, "CPU", how)
    request = compiled.create_infer_request()

    def run(arrays: Arrays) -> Arrays:
        results = request.infer(arrays)
        return {port.get_any_name(): np.array(results[port]) for port in compiled.outputs}

    return run


def _write_saved_model(function: Any, folder: Path, path: Path, texts: Mapping[str, str]) -> None:
    shutil.copytree(folder, path)
    with suppress(OSError):
        (path / "fingerprint.pb").unlink()  # of no use without what wrote it, and another every time


def _open_saved_model(path: Path, threads: int) -> Run:
    import tensorflow as tf

    model = tf.saved_model.load(str(path))
    run = model.signatures["serving_default"]

    def called(arrays: Arrays) -> Arrays:
        assert model  # its variables live as long as it does
        results = run(**{name: tf.constant(array) for name, array in arrays.items()})
        return {name: one.numpy() for name, one in results.items()}

    return called


FORMATS = {
    one.name: one
    for one in (
        Format("litert", "LiteRT", ".tflite", ("ai_edge_litert",), "ai-edge-litert", _write_litert, _open_litert),
        Format("onnx", "ONNX Runtime", ".onnx", _ONNX, "'kineme[onnx]'", _write_onnx, _open_onnx),
        Format("openvino", "OpenVINO", ".xml", ("openvino",), "'kineme[openvino]'", _write_openvino, _open_openvino),
        Format("savedmodel", "TensorFlow", "", ("tensorflow",), _TENSORFLOW, _write_saved_model, _open_saved_model),
    )
}
