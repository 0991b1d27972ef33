# kith.mk - kith's pipeline as a fragment for GNU make: every layer's graph, the merge and the report are targets.
#
#     LAYERS      = conv1 relu1 pool1 fc
#     K           = 15,100
#     ACTIVATIONS = activations
#     OUT         = kith
#     include /usr/local/share/kith/kith.mk
#     # then: make kith -j2
#
# Where kith.record made the activations, `include activations/layers.mk` is there for LAYERS, ACTIVATIONS and
# ACTIVATIONS_SHARDS.
#
# Settings. Set them before the include, or on make's command line. Only LAYERS has no default.
#
#   LAYERS       the layers in causal order. NAME stands for $(ACTIVATIONS)/NAME.npy and is NAME in the results.
#                Letters, digits and . _ - + @ , may be in it, but no - at its beginning.
#   K            the ladder: neighbours per sample, ascending, separated by commas       (15)
#   ACTIVATIONS  the folder that holds a .npy file for each layer; or a file that holds an array of each layer's name:
#                acts.safetensors, acts.npz, acts.h5; or a pattern of several such files, each with some of the
#                samples: acts/shard-*.safetensors                                       (activations)
#   ACTIVATIONS_SUFFIX  how their names end                                              (.npy)
#   ACTIVATIONS_SHARDS  4 where each layer's samples are in four files, NAME.npy.0-of-4 to NAME.npy.3-of-4, as several
#                processes of kith.record write them                                     (none: in one file)
#   NEIGHBOURS   a folder of neighbours found elsewhere, NAME.npy for each layer: these are imported instead of
#                building graphs, and measured and audited if ACTIVATIONS is set       (none)
#   NEIGHBOURS_SUFFIX   how their names end                                              (.npy)
#   IMPORT       other options of kith-import, such as --complete --source 'umap 0.5'    (none)
#   OUT          the folder for everything made here                                     (kith)
#   METRIC       l2 or cosine                                                            (l2)
#   TIES         content or index: the order of samples that are equally far             (content)
#   ENGINE       exact, or approx or another one of kith-knn's                           (exact)
#   GRAPH        which pairs count: union, mutual or both                                (union)
#   ALPHA        largest alpha for NNTP, or all                                          (0)
#   PAIRS        yes: keep every pair through all layers, too, for kith-pairs          (no)
#   MEM          memory limit of each program: 512M, 4G, ...                             (the programs' default)
#   THREADS      threads of each program                                                 (the programs' default)
#   KITH_BIN     the folder that holds the programs                                      (searched on PATH)
#
# Targets.
#
#   $(OUT)/NAME.nng     the neighbour graph of one layer
#   $(OUT)/first/NAME.nng   with ENGINE = approx: what it is made of, together with those of the layers beside it
#   $(OUT)/stack.json   NNTS and NNTP
#   $(OUT)/pairs.kpr    with PAIRS = yes: every pair through all layers, made in the same run (with PAIRS = no one of an
#                       earlier run stays as it is); needs GNU make 4.3
#   $(OUT)/report.html  the report, and with it $(OUT)/report.tex, $(OUT)/report-csv/ and $(OUT)/report-svg/
#   kith                all of these
#   kith-clean          removes them and what killed runs have left of them (NAME.xxxxxx.part), and nothing else
#
# A target is made again when what it depends on has changed: a graph with its layer's activations (newer, or of another
# size or time than those it was made of: $(OUT)/.kith-input/ has notes of them) and with K, METRIC, TIES, ENGINE,
# ACTIVATIONS; stack.json with any graph and with GRAPH, ALPHA, and which layers there are in which order.
# PAIRS, MEM, THREADS and KITH_BIN change no result, so they remake nothing. Several settings side by side each want an OUT of
# their own: make OUT=kith-cosine METRIC=cosine.
#
# With -j, layers run side by side and each takes MEM and THREADS: on 8 cores and 32 GB, make -j2 THREADS=4 MEM=12G.
#
# `kith` is the default goal only where the makefile has no rule before the include. .DELETE_ON_ERROR, which make knows
# only for a whole makefile, is on. Internal names start with KITH_ or kith-; include this file once.

ifndef LAYERS
$(error kith.mk: set LAYERS to the layers' names, in causal order, before the include)
endif

KITH_LAYERS := $(strip $(LAYERS))
KITH_COMMA := ,
KITH_NOTHING :=
KITH_SPACE := $(KITH_NOTHING) $(KITH_NOTHING)
# 15, 100 is 15,100; 15 100 is refused below.
KITH_K := $(subst $(KITH_SPACE)$(KITH_COMMA),$(KITH_COMMA),$(or $(strip $(K)),15))
KITH_K := $(subst $(KITH_COMMA)$(KITH_SPACE),$(KITH_COMMA),$(KITH_K))
KITH_SUFFIX := $(or $(strip $(ACTIVATIONS_SUFFIX)),.npy)
KITH_SHARDS := $(strip $(ACTIVATIONS_SHARDS))
# A name without the slash at its end; ~/ is written out, since recipes quote names.
KITH_PLACE = $(patsubst ~/%,$(HOME)/%,$(patsubst %/,%,$(strip $1)))
KITH_ACTIVATIONS := $(call KITH_PLACE,$(or $(strip $(ACTIVATIONS)),activations))
KITH_OUT := $(call KITH_PLACE,$(or $(strip $(OUT)),kith))

# Files that hold an array for each layer, of its name: they need no suffix, and their notes have the layers' names.
KITH_HOLDERS = $(filter %.safetensors %.npz %.h5 %.hdf5,$1)
# Not empty if $1 is a pattern, as kith-knn has them.
KITH_IS_PATTERN = $(findstring *,$(subst [,*,$(subst ?,*,$1)))
# Of activations in $1: how the names of one layer's files end, if its name is $2 and there are $3 shards; these files, $2
# being those ends; and how programs call them. % stands for the layer.
KITH_ENDS = $(if $(call KITH_HOLDERS,$1),,$(if $3,$(patsubst %,$2.%-of-$3,$(shell seq 0 $$(($3 - 1)))),$2))
KITH_FILES = $(if $(call KITH_HOLDERS,$1),$(or $(wildcard $1),$1),$(addprefix $1/%,$2))
KITH_SOURCE = $(if $(call KITH_HOLDERS,$1),$1:%,$1/%$2$(if $3,.*-of-$3))
ifneq ($(if $(KITH_SHARDS),$(shell case '$(KITH_SHARDS)' in (0*|*[!0-9]*|??????*) echo bad;; esac)),)
$(error kith.mk: ACTIVATIONS_SHARDS: in how many files each layer is, such as 4, not $(KITH_SHARDS))
endif
ifneq ($(and $(KITH_SHARDS),$(call KITH_HOLDERS,$(KITH_ACTIVATIONS))),)
$(error kith.mk: ACTIVATIONS = $(KITH_ACTIVATIONS): leave ACTIVATIONS_SHARDS out: a pattern names the files)
endif
KITH_ENDINGS := $(call KITH_ENDS,$(KITH_ACTIVATIONS),$(KITH_SUFFIX),$(KITH_SHARDS))
KITH_INPUT := $(call KITH_FILES,$(KITH_ACTIVATIONS),$(KITH_ENDINGS))
KITH_INPUT_NAME := $(call KITH_SOURCE,$(KITH_ACTIVATIONS),$(KITH_SUFFIX),$(KITH_SHARDS))
# Neighbours found elsewhere take the place of activations, which then only measure them.
KITH_MEASURED :=
KITH_MEASURED_IN :=
KITH_MEASURED_ENDINGS :=
KITH_MEASURED_NAME :=
ifneq ($(strip $(NEIGHBOURS)),)
ifneq ($(strip $(ENGINE)),)
$(error kith.mk: ENGINE = $(ENGINE): with NEIGHBOURS, graphs are imported: leave one of them out)
endif
ifneq ($(strip $(ACTIVATIONS)),)
KITH_MEASURED := $(KITH_INPUT)
KITH_MEASURED_IN := $(KITH_ACTIVATIONS)
KITH_MEASURED_ENDINGS := $(KITH_ENDINGS)
KITH_MEASURED_NAME := $(KITH_INPUT_NAME)
endif
KITH_ACTIVATIONS := $(call KITH_PLACE,$(NEIGHBOURS))
KITH_SUFFIX := $(or $(strip $(NEIGHBOURS_SUFFIX)),.npy)
KITH_ENDINGS := $(call KITH_ENDS,$(KITH_ACTIVATIONS),$(KITH_SUFFIX))
KITH_INPUT := $(call KITH_FILES,$(KITH_ACTIVATIONS),$(KITH_ENDINGS))
KITH_INPUT_NAME := $(call KITH_SOURCE,$(KITH_ACTIVATIONS),$(KITH_SUFFIX))
endif
KITH_METRIC := $(or $(strip $(METRIC)),l2)
KITH_TIES := $(or $(strip $(TIES)),content)
KITH_ENGINE := $(or $(strip $(ENGINE)),exact)
KITH_GRAPH := $(or $(strip $(GRAPH)),union)
KITH_ALPHA := $(or $(strip $(ALPHA)),0)
KITH_PAIRS := $(or $(strip $(PAIRS)),no)

# What make or the shell would misread in a name is refused here.
KITH_ODD := $(shell printf %s '$(subst ','\'',$(KITH_LAYERS)$(KITH_SUFFIX)$(ACTIVATIONS_SUFFIX))' | LC_ALL=C tr -d 'A-Za-z0-9._+@, -')
ifneq ($(KITH_ODD)$(filter -%,$(KITH_LAYERS)),)
$(error kith.mk: LAYERS, ACTIVATIONS_SUFFIX: names may hold letters without accents, digits and . _ - + @ , \
	but not $(or $(KITH_ODD),- at the beginning): rename the files)
endif
ifneq ($(words $(KITH_LAYERS)),$(words $(sort $(KITH_LAYERS))))
$(error kith.mk: LAYERS: a layer is named twice)
endif
ifneq ($(words $(KITH_K)),1)
$(error kith.mk: K = $(K): put commas between the values, K = $(subst $(KITH_SPACE),$(KITH_COMMA),$(KITH_K)))
endif
ifneq ($(words $(or $(KITH_MEASURED_NAME),-) $(KITH_INPUT_NAME) $(KITH_OUT) $(KITH_METRIC) $(KITH_TIES) $(KITH_ENGINE) $(KITH_GRAPH) \
	$(KITH_ALPHA)),8)
$(error kith.mk: ACTIVATIONS, NEIGHBOURS, their SUFFIX, OUT, METRIC, TIES, ENGINE, GRAPH, ALPHA: none of them may contain a space)
endif
ifeq ($(filter $(KITH_PAIRS),yes no),)
$(error kith.mk: PAIRS: yes or no, not $(KITH_PAIRS))
endif
ifeq ($(KITH_PAIRS)$(filter grouped-target,$(.FEATURES)),yes)
$(error kith.mk: PAIRS = yes needs GNU make 4.3 or newer, which knows targets that are made together)
endif

# Programs and options, as the recipes and nothing else use them.
KITH_PROGRAM = '$(if $(strip $(KITH_BIN)),$(call KITH_PLACE,$(KITH_BIN))/)kith-$1'
KITH_LIMITS = $(if $(strip $(MEM)),-m $(strip $(MEM)) )$(if $(strip $(THREADS)),-t $(strip $(THREADS)) )# a space after each

KITH_GRAPHS := $(KITH_LAYERS:%=$(KITH_OUT)/%.nng)
KITH_FIRST := $(KITH_LAYERS:%=$(KITH_OUT)/first/%.nng)
KITH_STACK := $(KITH_OUT)/stack.json
KITH_STORE := $(if $(filter yes,$(KITH_PAIRS)),$(KITH_OUT)/pairs.kpr)
KITH_REPORT := $(KITH_OUT)/report.html

# The settings that results depend on live in stamp files: a stamp is rewritten, and so becomes newer than the results,
# only when it differs. The comparison is made while reading, so that `make -n` and `make -q` tell the truth.
KITH_KNN_STAMP := $(KITH_OUT)/.kith-knn
KITH_KNN_SETTINGS := K=$(KITH_K) METRIC=$(KITH_METRIC) TIES=$(KITH_TIES) ENGINE=$(KITH_ENGINE) ACTIVATIONS=$(KITH_ACTIVATIONS)$(filter-out .npy,$(KITH_ENDINGS))
# A file that a pattern no longer finds leaves no other trace.
KITH_KNN_SETTINGS += $(if $(call KITH_IS_PATTERN,$(KITH_ACTIVATIONS)),$(words $(KITH_INPUT)) files)
KITH_KNN_SETTINGS += $(if $(strip $(NEIGHBOURS)),IMPORT=$(strip $(IMPORT)) MEASURED=$(KITH_MEASURED))
KITH_KNN_SETTINGS := $(strip $(KITH_KNN_SETTINGS))
KITH_MERGE_STAMP := $(KITH_OUT)/.kith-merge
# Each layer has a stamp with the size and the time of its activations, too: files that replace them (cp -p, rsync -t,
# tar) may be older than the graph. No inode, so that a copy of the whole folder that keeps times (cp -a) is up to date.
KITH_NOTES := $(KITH_OUT)/.kith-input
KITH_MERGE_SETTINGS := GRAPH=$(KITH_GRAPH) ALPHA=$(KITH_ALPHA) LAYERS=$(KITH_LAYERS)

# What stat(1) says of activations, of the layers $1, a line for each file; in UTC, whatever TZ is when make runs again. Of
# those that only measure neighbours, names are measured/NAME, which no layer's name can be. The shell puts names and ends
# together: all names of 100 layers in 64 files each are longer than a command may be.
KITH_STAT_IN = $(if $(call KITH_HOLDERS,$1),for name in $4; do \
	TZ=UTC0 stat -L -c "%s %y $(if $(call KITH_IS_PATTERN,$1),%n )$2$$name" -- $1; done, \
	(CDPATH= cd $1 && for end in $3; do TZ=UTC0 stat -L -c '%s %y $2%n' -- $(4:%=%$$end); done))
KITH_STAT = $(call KITH_STAT_IN,$(KITH_ACTIVATIONS),,$(KITH_ENDINGS),$1)$(if $(KITH_MEASURED),; \
	$(call KITH_STAT_IN,$(KITH_MEASURED_IN),measured/,$(KITH_MEASURED_ENDINGS),$1))
# The layers whose activations are not what their stamps say.
KITH_CHANGED := $(shell { cat $(KITH_LAYERS:%=$(KITH_NOTES)/%); { $(call KITH_STAT,$(KITH_LAYERS)); } | sed 's/^/now /'; } \
	2>/dev/null | awk '!sub(/^now /, "") { noted[$$0]; next } !($$0 in noted) { print $$NF }')
KITH_LAYERS_OF = $(if $2,$(foreach KITH_END,$2,$(patsubst %$(KITH_END),%,$(filter %$(KITH_END),$1))),$1)
KITH_CHANGED := $(sort $(call KITH_LAYERS_OF,$(filter-out measured/%,$(KITH_CHANGED)),$(KITH_ENDINGS)) \
	$(call KITH_LAYERS_OF,$(patsubst measured/%,%,$(filter measured/%,$(KITH_CHANGED))),$(KITH_MEASURED_ENDINGS)))

.PHONY: kith kith-clean KITH_FORCE
.DELETE_ON_ERROR:

# What is there for files that no rule makes; activations may come from rules of the user's.
KITH_WHAT_TO_DO = : record that layer (kith.record; or any array of a row for each sample), take it out of LAYERS, or say with \
	ACTIVATIONS in which folder the activations are
.DEFAULT:
	@echo 'kith.mk: $@: no such file, and no rule makes it$(if $(filter \
		$(foreach KITH_NAME,$(KITH_LAYERS),$(subst %,$(KITH_NAME),$(KITH_INPUT))),$@),$(KITH_WHAT_TO_DO))' >&2; exit 2

kith: $(KITH_GRAPHS) $(KITH_STACK) $(KITH_STORE) $(KITH_REPORT)

KITH_KNN = $(call KITH_PROGRAM,knn) -k $(KITH_K) --metric $(KITH_METRIC) --ties $(KITH_TIES) $(KITH_LIMITS)--engine
ifneq ($(strip $(NEIGHBOURS)),)
$(KITH_GRAPHS): $(KITH_OUT)/%.nng: $(KITH_INPUT) $(KITH_MEASURED) $(KITH_NOTES)/% $(KITH_KNN_STAMP) | $(KITH_OUT)/.
	$(call KITH_PROGRAM,import) -k $(KITH_K) --metric $(KITH_METRIC) --ties $(KITH_TIES) $(KITH_LIMITS)$(if $(KITH_MEASURED),--activations \
		'$(subst %,$*,$(KITH_MEASURED_NAME))' )$(strip $(IMPORT)) -o $@ '$(subst %,$*,$(KITH_INPUT_NAME))'
else ifeq ($(filter approx approx:%,$(KITH_ENGINE)),)
$(KITH_GRAPHS): $(KITH_OUT)/%.nng: $(KITH_INPUT) $(KITH_NOTES)/% $(KITH_KNN_STAMP) | $(KITH_OUT)/.
	$(KITH_KNN) '$(KITH_ENGINE)' -o $@ '$(subst %,$*,$(KITH_INPUT_NAME))'
else
# Approximate graphs first, $(OUT)/first/NAME.nng. Then each layer's is made once more of what was found for it and for
# the layers before and after, which have neighbours that were missed: they repair the pairs whose runs a miss would cut.
# Of few samples the first ones are exact already.
KITH_IS_EXACT = $(call KITH_PROGRAM,show) $1 2>/dev/null | head -n 20 | grep -q '^\# engine	exact$$'
# Of few samples the first ones are exact, and stay as they are.
ifneq ($(findstring $(KITH_COMMA),$(KITH_LAYERS) $(KITH_OUT)),)
$(error kith.mk: LAYERS, OUT: with ENGINE = approx a name may hold no comma)
endif
$(KITH_FIRST): $(KITH_OUT)/first/%.nng: $(KITH_INPUT) $(KITH_NOTES)/% $(KITH_KNN_STAMP) | $(KITH_OUT)/first/.
	$(KITH_KNN) '$(KITH_ENGINE)' -o $@ '$(subst %,$*,$(KITH_INPUT_NAME))'
$(foreach KITH_NAME,$(KITH_LAYERS),$(eval KITH_BEFORE_$(KITH_NAME) := $(KITH_LAST))$(eval \
	KITH_AFTER_$(KITH_LAST) := $(KITH_NAME))$(eval KITH_LAST := $(KITH_NAME)))
define KITH_IMPROVED
$(KITH_OUT)/$1.nng: $(subst %,$1,$(KITH_INPUT)) $(foreach KITH_NAME,$1 $(KITH_BEFORE_$1) $(KITH_AFTER_$1),$(KITH_OUT)/first/$(KITH_NAME).nng)
	if $$(call KITH_IS_EXACT,$(KITH_OUT)/first/$1.nng); then \
		cp $(KITH_OUT)/first/$1.nng $$@.part && mv $$@.part $$@; else \
		$$(KITH_KNN) '$(KITH_ENGINE)$(if $(filter approx,$(KITH_ENGINE)),:,$(KITH_COMMA))trees=1,rounds=0' $(foreach KITH_NAME,$1 $(KITH_BEFORE_$1) \
		$(KITH_AFTER_$1),--candidates $(KITH_OUT)/first/$(KITH_NAME).nng) -o $$@ '$(subst %,$1,$(KITH_INPUT_NAME))'; fi
endef
$(foreach KITH_NAME,$(KITH_LAYERS),$(eval $(call KITH_IMPROVED,$(KITH_NAME))))
endif

define KITH_MERGE
$(call KITH_PROGRAM,merge) --alpha $(KITH_ALPHA) --graph $(KITH_GRAPH) $(KITH_LIMITS)$(KITH_STORE:%=--pairs % )-o $(KITH_STACK) \
	$(foreach KITH_NAME,$(KITH_LAYERS),$(KITH_NAME)=$(KITH_OUT)/$(KITH_NAME).nng)
endef

# Where a run fails or is interrupted, make would delete the store although the program has left it as it was.
ifeq ($(KITH_PAIRS),yes)
.PRECIOUS: $(KITH_STORE)
$(KITH_STACK) $(KITH_STORE) &: $(KITH_GRAPHS) $(KITH_MERGE_STAMP) | $(KITH_OUT)/.
	$(KITH_MERGE)
else
$(KITH_STACK): $(KITH_GRAPHS) $(KITH_MERGE_STAMP) | $(KITH_OUT)/.
	$(KITH_MERGE)
endif

# The report's folders hold nothing that other settings left there.
$(KITH_REPORT): $(KITH_STACK)
	rm -rf $(KITH_OUT)/report-csv $(KITH_OUT)/report-svg
	$(call KITH_PROGRAM,report) --csv $(KITH_OUT)/report-csv --svg $(KITH_OUT)/report-svg \
		--latex $(KITH_OUT)/report.tex -o $@ $<

# The dot keeps the folder's target apart from the phony target of the same name, OUT being kith by default.
$(KITH_OUT)/. $(KITH_OUT)/first/. $(KITH_NOTES)/.:
	@mkdir -p $@

$(KITH_LAYERS:%=$(KITH_NOTES)/%): $(KITH_NOTES)/%: $(KITH_INPUT) $(KITH_MEASURED) | $(KITH_NOTES)/.
	@{ $(call KITH_STAT,$*); } >$@
ifneq ($(KITH_CHANGED),)
$(KITH_CHANGED:%=$(KITH_NOTES)/%): KITH_FORCE
endif

$(KITH_KNN_STAMP) $(KITH_MERGE_STAMP): | $(KITH_OUT)/.
$(KITH_KNN_STAMP):
	@printf '%s\n' '$(subst ','\'',$(KITH_KNN_SETTINGS))' >$@
$(KITH_MERGE_STAMP):
	@printf '%s\n' '$(KITH_MERGE_SETTINGS)' >$@
ifneq ($(shell cat $(KITH_KNN_STAMP) 2>/dev/null),$(KITH_KNN_SETTINGS))
$(KITH_KNN_STAMP): KITH_FORCE
endif
ifneq ($(shell cat $(KITH_MERGE_STAMP) 2>/dev/null),$(KITH_MERGE_SETTINGS))
$(KITH_MERGE_STAMP): KITH_FORCE
endif
KITH_FORCE:

kith-clean:
	rm -f $(foreach KITH_FILE,$(KITH_GRAPHS) $(KITH_FIRST) $(KITH_STACK) $(KITH_STORE) $(KITH_REPORT) $(KITH_OUT)/report.tex,\
		$(KITH_FILE) $(KITH_FILE).part $(KITH_FILE).??????.part) $(KITH_LAYERS:%=$(KITH_NOTES)/%) $(KITH_KNN_STAMP) $(KITH_MERGE_STAMP)
	rm -rf $(KITH_OUT)/report-csv $(KITH_OUT)/report-svg
	rmdir $(KITH_OUT)/first $(KITH_NOTES) 2>/dev/null || :
	rmdir $(KITH_OUT) 2>/dev/null || :
