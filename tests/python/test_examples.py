"""examples/python's scripts run, and say what they should."""

import os
import subprocess
import sys

import kith
import pytest
from conftest import ROOT

pytest.importorskip("torch")


@pytest.mark.parametrize("script, samples, layers", [
    ("resnet18", 40, [*"maxpool layer1.0.add layer1.1.add layer2.0.add layer2.1.add layer3.0.add layer3.1.add layer4.0.add "
                       "layer4.1.add avgpool fc".split()]),
    ("causal_lm", 100, [*"h0 h1 h2 h3 h4 logits".split()]),
    ("checkpoints", 200, [*"step0 step10 step50 step200 step500".split()])])
def test_script(here, script, samples, layers):
    if script != "causal_lm" and not os.path.isdir("/usr/share/datasets/fashion-mnist"):
        pytest.skip("dataset-fashion-mnist is not installed")
    done = subprocess.run([sys.executable, "-B", os.path.join(ROOT, "examples", "python", f"{script}.py"), "out", str(samples)],
                          capture_output=True, text=True)
    assert done.returncode == 0 and "on a branch" not in done.stderr, done.stderr
    stack = kith.stack("out/stack.json")
    assert stack.layers == layers and stack.n == samples
    assert f"k=15 layers {' '.join(layers)}" in done.stdout
