# Everything runs in .venv, made on first use; only real packets (lab-deps, lab-demo, bench-lab) need root.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
LAB_PACKAGES := openvswitch-switch mininet iperf3 ethtool iproute2 iputils-ping net-tools util-linux frr

# Processes start by the hundred: none shall compile all of its modules again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help

help:           ## Say what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 16

$(READY): pyproject.toml $(shell find protos -type f)
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --upgrade 'pip>=25.1'
	@$(BIN)/pip install --quiet --editable . --group dev
	@touch $@

setup: $(READY) ## Make .venv with everything in it

demo: $(READY)  ## Bring the city up and run the main job
	@$(BIN)/python -m lab.demo

# Tests of the pure rooms only reckon: they run, with the types, at a priority at which they give way to everything.
PURE := $(addprefix tests/,assurance intent network openflow optics planning rendering simulation verification)
OTHERS := tests/rendering/test_planned.py $(filter-out $(PURE) tests/__init__.py,$(wildcard tests/test_*.py \
  $(patsubst %/,%,$(sort $(dir $(wildcard tests/*/test_*.py))))))
MEASURING := $(shell grep -rl --include='test_*.py' pytest.mark.alone tests) $(wildcard tests/*/test_*speed.py)
BESIDE := --dist loadfile --no-loadscope-reorder -m "not alone and not packets"
GIVING_WAY := $(shell command -v chrt >/dev/null && echo chrt --idle 0)
COUNTING := build/counting-packets

test: $(READY)  ## Style, types, contracts and tests
	@$(BIN)/ruff check .
	@$(BIN)/pytest -n 4 $(BESIDE) $(OTHERS)
	@mkdir -p build; touch $(COUNTING); \
	($(GIVING_WAY) $(BIN)/mypy && $(GIVING_WAY) $(BIN)/lint-imports && \
	  ONECITY_GIVE_WAY_WHILE=$(COUNTING) $(GIVING_WAY) $(BIN)/pytest -n 2 --timeout 900 -o faulthandler_timeout=1000 \
	  $(BESIDE) --ignore tests/rendering/test_planned.py $(PURE)) >build/giving-way.txt 2>&1 & beside=$$!; \
	$(BIN)/pytest -m packets tests/lab; packets=$$?; rm -f $(COUNTING); \
	wait $$beside; pure=$$?; cat build/giving-way.txt; exit $$((packets + pure))
	@$(BIN)/pytest -m alone $(sort $(MEASURING))

bench: $(READY) ## Measure; writes build/bench.json
	@$(BIN)/python -m tests.bench

monitoring: $(READY) ## The demo city under a Prometheus and an Alertmanager of its own; Ctrl-C ends it
	@$(BIN)/python -m lab.monitoring

dashboards: $(READY) ## Write lab/monitoring/dashboards/ and its table of metrics anew after a change of either
	@$(BIN)/python -m lab.monitoring.build_dashboards
	@$(BIN)/python -m tests.monitoring.exposed

chaos: $(READY) ## Try to break the transactions; writes build/chaos.json
	@$(BIN)/python -m tests.chaos
	@ONECITY_EVERY_POINT=1 $(BIN)/python -m pytest -q tests/chaos/test_lighting.py

lab-deps:       ## Install what real packets need (Debian, root)
	apt-get install -y -qq --no-install-recommends $(LAB_PACKAGES)

lab-ryu:        ## Put Ryu 4.34 into build/ryu, beside os-ken, for the tests that run the OpenFlow application on it
	@test -x build/ryu/bin/ryu-manager || { \
	  $(PYTHON) -m venv build/ryu && \
	  build/ryu/bin/pip install --quiet --upgrade 'pip>=25.3' && \
	  printf 'setuptools<67.7\n' >build/ryu/constraint.txt && \
	  build/ryu/bin/pip install --quiet --build-constraint build/ryu/constraint.txt ryu==4.34 pyyaml setuptools; }

lab-demo: $(READY) ## The city with real packets: pings, a flood against a slice, a cut (root)
	@$(BIN)/python -m lab.openflow.demo

bench-lab: $(READY) ## Measure real packets; writes build/bench-lab.json (root)
	@$(BIN)/python -m tests.lab.bench

campaign: $(READY) ## Break a city many times and judge the repairs; writes build/campaign.json
	@$(BIN)/python -m tests.campaign

properties: $(READY) ## Try every property with many more examples, others each time (20 minutes)
	@$(BIN)/python -m tests.properties

stubs: $(READY) ## Regenerate protocol stubs after a change under protos/
	@$(BIN)/python protos/build_stubs.py

clean:          ## Remove what was built
	rm -rf build dist $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

.PHONY: help lab-deps lab-ryu lab-demo bench-lab setup demo monitoring dashboards test bench chaos stubs clean campaign properties
