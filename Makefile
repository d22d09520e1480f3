# Every target sets itself up: `make demo` and `make test` are all a new user needs.
PYTHON ?= python3
VENV := .venv
PEERS := .venv-peers
LEROBOT := .venv-lerobot
BIN := $(VENV)/bin
PLUGINS := $(wildcard plugins/*)
EDITABLE := -e embodiments $(addprefix -e ,$(PLUGINS))
SOURCES := pyproject.toml constraints.txt embodiments/pyproject.toml $(addsuffix /pyproject.toml,$(PLUGINS))
DEMO_EXTRAS := sim,viewer,lerobot,keypoints
export OMP_NUM_THREADS ?= 1
export OMP_WAIT_POLICY ?= passive
export HF_HUB_OFFLINE ?= 1

.PHONY: demo test test-slow lint format bench-peers lerobot-env clean

demo: $(VENV)/.demo ## simulate, import, retarget, train, run; ends with the path of demo/report.html
	$(BIN)/egoscale demo --out demo

test: $(VENV)/.dev ## the test suite without slow tests
	$(BIN)/pytest -q -n 2 --dist loadfile -m "not slow" tests plugins

test-slow: $(VENV)/.dev ## what takes longer
	$(BIN)/pytest -q -n 2 --dist load -m slow tests plugins

lint: $(VENV)/.dev ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy --config-file pyproject.toml $(wildcard plugins/*/egoscale_*)

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench-peers: $(PEERS)/.done $(LEROBOT)/.done ## other retargeters and lerobot, for benchmarks/, in environments of their own (the second takes 8 GB)

$(PEERS)/.done: benchmarks/peers/requirements.txt benchmarks/peers/constraints.txt
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install -q -c benchmarks/peers/constraints.txt -r benchmarks/peers/requirements.txt
	touch $@

lerobot-env: $(LEROBOT)/.done ## the published lerobot package, for slow tests and benchmarks/data.py (8 GB)

$(LEROBOT)/.done: benchmarks/peers/lerobot/requirements.txt benchmarks/peers/lerobot/constraints.txt
	$(PYTHON) -m venv $(LEROBOT)
	$(LEROBOT)/bin/python -m pip install -q -c benchmarks/peers/lerobot/constraints.txt -r benchmarks/peers/lerobot/requirements.txt
	$(LEROBOT)/bin/python benchmarks/peers/lerobot/link_ffmpeg.py
	touch $@

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: $(SOURCES) | $(VENV)/bin/python
	$(BIN)/python -m pip install -q -c constraints.txt -e ".[$(DEMO_EXTRAS)]" $(EDITABLE)
	touch $@

$(VENV)/.dev: $(SOURCES) | $(VENV)/bin/python
	$(BIN)/python -m pip install -q -c constraints.txt -e ".[dev]" $(EDITABLE)
	touch $@

clean:
	rm -rf $(VENV) $(PEERS) $(LEROBOT) demo .mypy_cache .ruff_cache .pytest_cache
