# make demo    the main job on the samples          make test    all tests (no network once set up)
# make lint    ruff and mypy                        make bench   the time of one check against bare imports
PYTHON ?= python3
BIN = .venv/bin

.PHONY: demo test lint bench clean

demo: .venv/installed
	@PATH="$(CURDIR)/$(BIN):$$PATH" sh sample_modules/demo.sh

test: .venv/test
	$(BIN)/python -m pytest -q

lint: .venv/lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: .venv/installed
	$(BIN)/python -m compileall -q modcheck
	$(BIN)/python tools/bench.py

.venv/installed: pyproject.toml
	@$(PYTHON) -c "import ensurepip, venv" 2>/dev/null || \
		{ echo "$(PYTHON) has no venv module; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q --disable-pip-version-check -e .
	@touch $@

.venv/test .venv/lint: .venv/%: .venv/installed
	$(BIN)/python -m pip install -q --disable-pip-version-check -e ".[$*]"
	@touch $@

clean:
	rm -rf .venv build dist
