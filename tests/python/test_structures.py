"""The package's structures are those that the C compiler makes of include/kith; its version is kith's."""

import ctypes
import os
import re
import shutil
import subprocess

import kith
import pytest
from conftest import ROOT

HEADER = {"GraphInfo": ("graph.h", "kith_graph_info"), "TieCounts": ("graph.h", "kith_tie_counts"),
          "Layer": ("layer.h", "kith_layer"), "PairInfo": ("pairs.h", "kith_pair_info"), "Err": ("err.h", "kith_err")}


@pytest.mark.parametrize("name", HEADER)
def test_layout(here, name):
    header, struct = HEADER[name]
    ours = getattr(kith._lib, name)
    text = open(os.path.join(ROOT, "include", "kith", header)).read()
    body = re.sub(r"/\*.*?\*/", "", re.search(r"typedef struct %s \{(.*?)\} %s;" % (struct, struct), text, re.S)[1], flags=re.S)
    members = re.findall(r"\*?(\w+)(?:\[\w+\])?\s*[,;]", body)
    assert members == [field for field, *_ in ours._fields_]
    (here / "kith").mkdir()
    (here / "kith" / "version.h").write_text('#define KITH_VERSION "0"\n')
    prints = "".join(f'printf("%zu %zu\\n", offsetof({struct}, {m}), sizeof((({struct} *)0)->{m}));' for m in members)
    (here / "layout.c").write_text(f"#include <stddef.h>\n#include <stdio.h>\n#include <kith/{header}>\n"
                                   f'int main(void) {{ {prints} printf("%zu\\n", sizeof({struct})); return 0; }}\n')
    compiler = os.environ.get("KITH_CC") or shutil.which("cc")
    subprocess.run([compiler, "-I", os.path.join(ROOT, "include"), "-I", ".", "-o", "layout", "layout.c"], check=True)
    *fields, size = subprocess.run(["./layout"], check=True, capture_output=True, text=True).stdout.splitlines()
    for member, line in zip(members, fields):
        field = getattr(ours, member)
        assert line == f"{field.offset} {field.size}", member
    assert int(size) == ctypes.sizeof(ours)


def test_version():
    cmake = open(os.path.join(ROOT, "CMakeLists.txt")).read()
    assert kith.__version__ == re.search(r"project\(kith VERSION ([0-9.]+)", cmake)[1]
