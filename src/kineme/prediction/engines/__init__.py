"""The same network run by Keras, LiteRT, ONNX Runtime or OpenVINO."""
