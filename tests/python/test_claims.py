"""examples/lenet5/claims.py: figures and verdicts, from the definitions and from the paper's own table."""

import csv
import os
import sys

import numpy as np
import pytest
from conftest import ROOT

sys.path.insert(0, os.path.join(ROOT, "examples", "lenet5"))
import claims

L = len(claims.LAYERS)
K = (15, 100, 6000, 12000)


def random_presence(rng):
    """Which of some pairs each layer has: mostly in runs."""
    presence = np.zeros((400, L), bool)
    for pair in presence:
        while rng.random() < 0.7:
            a, b = sorted(rng.integers(0, L, 2))
            pair[a:b + 1] = True
    return presence


def slow_nntp(presence):
    """By the definition, alpha = 0."""
    nntp = np.zeros((L, L))
    for pair in presence:
        for a in range(L):
            for b in range(a, L):
                whole = pair[a:b + 1].all() and (a == 0 or not pair[a - 1]) and (b == L - 1 or not pair[b + 1])
                nntp[a, b] += whole
    return nntp


def training(nnts=None, nntp=None, n=60000, ks=K):
    """NNTS by k, as functions of two layers; symmetric, 1 with itself."""
    matrices = {}
    for k in ks:
        matrices[k] = np.eye(L)
        for a, b in claims.PAIRS:
            matrices[k][a, b] = matrices[k][b, a] = nnts(k, a, b) if nnts else 0.5
    return claims.Training("t", n, matrices, {k: k / n for k in ks}, claims.paper() if nntp is None else nntp)


def of(words):
    found, = [claim for claim in claims.CLAIMS if words in claim.says]
    return found


def test_pairs_by_definition(rng):
    for _ in range(5):
        presence = random_presence(rng)
        nntp = slow_nntp(presence)
        for v in range(L):
            alone = presence[:, v].copy()
            alone &= ~presence[:, v - 1] if v else True
            alone &= ~presence[:, v + 1] if v < L - 1 else True
            assert claims.present(nntp, v).sum() == presence[:, v].sum()
            assert claims.transient_shares(nntp)[v] == alone.sum() / presence[:, v].sum()
            for b in range(v, L):
                assert claims.through(nntp, v, b) == presence[:, v:b + 1].all(1).sum() / presence[:, v].sum()


def test_papers_table():
    """What the paper says of its own table, and what examples/lenet5/README.md says of it."""
    nntp = claims.paper()
    assert nntp[0, 0] == 455000 and nntp[claims.at("C1"), claims.at("P1")] == 286000 and nntp[-1, -1] == 180000
    assert (np.tril(nntp, -1) == 0).all()
    assert [round(x / 1000) for x in (claims.present(nntp, v).sum() for v in range(L))] == [
        666, 652, 668, 653, 661, 655, 661, 632, 667, 666, 652, 652]
    t = training()
    for words in ("transient", "C1 to P1"):
        assert of(words).holds(t)
    assert not of("redundant").holds(t)
    p1, c2, r2 = map(claims.at, ("P1", "C2", "R2"))
    assert round(claims.present(nntp, p1).sum() * claims.through(nntp, p1, c2) / 1000) == 58
    assert round(claims.present(nntp, c2).sum() * claims.through(nntp, c2, r2) / 1000) == 94


@pytest.mark.parametrize("words, good, bad", [
    ("blocks", lambda k, a, b: 0.8 if claims.LAYERS[a][1:] == claims.LAYERS[b][1:] else 0.3,
     lambda k, a, b: 0.3 if (a, b) in claims.INSIDE else 0.8),
    ("blocks", lambda k, a, b: 0.8 if (a, b) in claims.INSIDE else 0.3,
     lambda k, a, b: 0.95 if (a, b) == claims.BETWEEN[1] else 0.8 if (a, b) in claims.INSIDE else 0.3),
    ("by about 0.05", lambda k, a, b: 0.45 if claims.LAYERS[a] == "P1" else 0.5,
     lambda k, a, b: 0.2 if claims.LAYERS[a] == "P1" else 0.5),
    ("grows", lambda k, a, b: k / 13000, lambda k, a, b: 0.4 if (a, b) == (3, 5) else k / 13000),
    ("falls", lambda k, a, b: 0.6 - k * (2e-5 if a >= claims.at("M3") else 1e-5),
     lambda k, a, b: 0.6 - k * (1e-6 if a >= claims.at("M3") else 1e-5)),
])
def test_verdicts_of_similarity(words, good, bad):
    assert of(words).holds(training(good))
    assert not of(words).holds(training(bad))


def test_tends_to_one():
    ks = (15, 100, 200, 500, 900, 999)
    claim = of("tends to 1")
    assert claim.holds(training(lambda k, a, b: k / 999, n=1000, ks=ks))
    assert not claim.holds(training(lambda k, a, b: 0.9, n=1000, ks=ks))
    assert claim.figure(training(lambda k, a, b: k / 999, n=1000, ks=ks)) == pytest.approx(900 / 999)


def test_page(here, rng):
    """Each claim has a line, a mean with its error and a text; a claim that some trainings bear out says so."""
    good, bad = training(lambda k, a, b: k / 13000), training(lambda k, a, b: 1 - k / 13000)
    subset = training(lambda k, a, b: k / 999, n=1000, ks=(15, 100, 200, 500, 900, 999))
    text = claims.page([good, good, bad], [subset])
    assert "| **holds in 2 of 3** |" in text and "0.67 ± 0.33" in text and "3 trainings, n = 60,000" in text
    assert text.count("\n| ") == 1 + len(claims.CLAIMS) and f"\n{len(claims.CLAIMS)}. " in text
    assert "nan" not in text
    assert len(claims.CLAIMS) - 1 == claims.page([good], []).count("\n| ") - 1  # without a subset
    claims.replace("c.csv", lambda file: claims.write_csv(file, [good, bad], [subset]))
    with open("c.csv") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 2 * len(claims.CLAIMS) - 1
    assert {line["holds"] for line in lines if "grows" in line["claim"]} == {"yes", "no"}
