# make demo    the main job on the samples          make test    all tests (no network once set up)
# make lint    ruff and mypy                        make bench   the time of one check against bare imports
# make oracle  boots Debian kernels under QEMU and compares; CASES=own:6.1 and LIMIT=200 make it short
# make oracle-builds  makes and boots kernels that are nearly the same, and docs/builds.md of them (hours); BUILDS=rk3588
PYTHON ?= python3
BIN = .venv/bin

WORK ?= build/oracle

.PHONY: demo test lint bench oracle oracle-builds clean

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
	$(BIN)/python tools/bench.py $(WORK) $(PARTS)

oracle: .venv/test
	@needs=`$(BIN)/python -m tests.oracle $(WORK) $(CASES) --needs` && dpkg -s $$needs >/dev/null 2>&1 || \
		{ apt-get update -qq && apt-get install -y -qq --no-install-recommends $$needs; } || \
		echo "make oracle: needs $$needs" >&2
	$(BIN)/python -m tests.oracle $(WORK) $(CASES) $(if $(LIMIT),--limit $(LIMIT))

oracle-builds: .venv/test
	$(BIN)/python -m tests.oracle.builds $(WORK) $(BUILDS)
	$(BIN)/python -m tests.evidence

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
