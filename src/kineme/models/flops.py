"""How much arithmetic is in a compiled part of a network."""

from __future__ import annotations

import math
from typing import Any


def flops(content: bytes, part: str) -> int:
    """Floating-point operations of one run: two for each multiplication and addition of convolutions and products.

    All else of a network (activations, pooling, sums) is left out, as is usual.

    Args:
        content: of a ``.tflite`` file.
        part: which of its signatures; where there is only one, that.
    """
    from ai_edge_litert import schema_py_generated as schema  # of LiteRT itself, made from its file format

    model = schema.Model.GetRootAs(content, 0)
    signatures = [model.SignatureDefs(number) for number in range(model.SignatureDefsLength())]
    chosen = [one for one in signatures if one.SignatureKey() == part.encode()] or signatures
    graph = model.Subgraphs(chosen[0].SubgraphIndex())
    total = 0
    for number in range(graph.OperatorsLength()):
        operator = graph.Operators(number)
        code = model.OperatorCodes(operator.OpcodeIndex())
        kind = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        inputs, outputs = ([_shape(graph, index) for index in ends] for ends in _ends(operator))
        factors = {
            schema.BuiltinOperator.CONV_2D: lambda shapes: shapes[1][
                1:
            ],  # output channels, height, width, input channels
            schema.BuiltinOperator.DEPTHWISE_CONV_2D: lambda shapes: shapes[1][1:3],
            schema.BuiltinOperator.CONV_3D: lambda shapes: shapes[1][
                :4
            ],  # depth, height, width, input channels, output
            schema.BuiltinOperator.FULLY_CONNECTED: lambda shapes: shapes[1][1:],
            schema.BuiltinOperator.BATCH_MATMUL: lambda shapes: shapes[0][-1:],
        }.get(kind)
        if factors is not None:
            total += 2 * math.prod(outputs[0]) * math.prod(factors(inputs))
    return total


def _ends(operator: Any) -> tuple[Any, Any]:
    return operator.InputsAsNumpy(), operator.OutputsAsNumpy()


def _shape(graph: Any, index: int) -> tuple[int, ...]:
    if index < 0:  # an input that is left out
        return ()
    tensor = graph.Tensors(index)
    return tuple(int(tensor.Shape(side)) for side in range(tensor.ShapeLength()))
