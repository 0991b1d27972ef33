"""examples/python's scripts run, and say what they should."""

import os

import kith
import pytest
from conftest import ROOT, run_script

pytest.importorskip("torch")


@pytest.mark.filterwarnings("error:.*on a branch")
@pytest.mark.parametrize("script, numbers, layers", [
    ("resnet18", [40], [*"maxpool layer1.0.add layer1.1.add layer2.0.add layer2.1.add layer3.0.add layer3.1.add layer4.0.add "
                       "layer4.1.add avgpool fc".split()]),
    ("causal_lm", [100, 10], [*"h0 h1 h2 h3 h4 logits".split()]),
    ("checkpoints", [200], [*"step0 step10 step50 step200 step500".split()])])
def test_script(here, monkeypatch, capsys, script, numbers, layers):
    if script != "causal_lm" and not os.path.isdir("/usr/share/datasets/fashion-mnist"):
        pytest.skip("dataset-fashion-mnist is not installed")
    assert run_script(monkeypatch, os.path.join(ROOT, "examples", "python", f"{script}.py"), "out", *numbers) is None
    stack = kith.stack("out/stack.json")
    assert stack.layers == layers and stack.n == numbers[0]
    assert f"k=15 layers {' '.join(layers)}" in capsys.readouterr().out
