# make demo: install, then the main job on data that ships. make test: the tests. make check: linter and type checker.
# make docs: the site.
PYTHON ?= python3
BIN := .venv/bin
BENCH := $(BIN)/python -m bench
DEMO := --dataset fashion --target-size 125 --results results/demo
export OMP_NUM_THREADS ?= 1

.PHONY: demo test check docs install clean

install: .venv/installed

.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip setuptools
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	touch $@

# Both methods side by side: two processes of one thread use two cores best.
demo: install
	$(BENCH) weights get
	$(BENCH) data prepare fashion --resolution 32
	$(BENCH) run --method cyclegan $(DEMO) --preset cpu --device cpu --budget-tflop 4 & other=$$!; \
	$(BENCH) run --method cut $(DEMO) --preset cpu --device cpu --budget-tflop 4 || { kill $$other; exit 1; }; \
	wait $$other
	for anchor in real identity copies truth truth-blurred; do \
	    $(BENCH) run --method $$anchor $(DEMO) --resolution 32 || exit 1; \
	done
	$(BENCH) leaderboard --results results/demo
	@echo "Pictures:" && ls results/demo/runs/fashion/125/*/*/samples.png

test: install
	$(BIN)/python -m pytest -n auto --dist loadfile

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy bench methods datasets

# The site, in build/site/; a broken link or a name that is not there is an error.
docs: install
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

clean:
	rm -rf .venv build *.egg-info results/demo
