"""Prints the layers of the small CNN."""

from kineme.models.backbones.small_cnn import frame_network

network = frame_network(64, 64)
for layer in network.layers[1:]:
    if layer.count_params() or "pool" in layer.name:
        print(f"{layer.name:6} {layer.output.shape[1:]!s:14} {layer.count_params():6,} weights")
print(f"in all {network.count_params():,} weights, {network.output.shape[-1]} numbers a frame")
