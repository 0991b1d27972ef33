"""The bars of kith-h0:  bench.py BUILD [FOLDER]

Makes the networks of make_data.py in FOLDER (/tmp/kith-h0), unless they are there, and runs kith-h0 and its rivals in turn, one
thread each, three times; prints medians of ratios of CPU time per sample. BUILD has kith-h0, and rival_sort (KITH_BENCH=ON).
GUDHI is python3-gudhi, SciPy python3-scipy, both of /usr/bin/python3; what is not there is left out."""
import os
import subprocess
import sys
from statistics import median

HERE = os.path.dirname(os.path.abspath(__file__))
PYTHON = "/usr/bin/python3"


def cpu_of(command):
    pid = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(pid.pid, 0)
    if status:
        raise SystemExit(f"failed: {' '.join(command)}")
    return usage.ru_utime + usage.ru_stime


def kith(build, net, out, samples, *options):
    """Seconds a sample: with reading of weights and activations, sorting of weights, and the file."""
    return cpu_of([f"{build}/kith-h0", "-q", "-t", "1", *options, "-o", out, net]) / samples


def column(command, which):
    """The median over samples of a column (a sum of columns) that a rival prints, or None if it is not there."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        return None
    return median(sum(float(line.split()[k]) for k in which) for line in done.stdout.splitlines())


def compare(what, ours, rival, bar):
    ratios = []
    for _ in range(3):
        mine, other = ours(), rival()
        if other is None:
            print(f"{what}: rival is not there")
            return
        ratios.append(other / mine)
    print(f"{what}: {median(ratios):.1f} times ({min(ratios):.1f} to {max(ratios):.1f}), bar {bar}; kith {mine * 1e3:.2f} ms, "
          f"the other {other * 1e3:.1f} ms a sample", flush=True)


def main():
    build, folder = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "/tmp/kith-h0"
    sizes = {"ccff": 1000, "lenet5": 1000, "alexnet": 2}
    nets = {name: f"{folder}/{name}/net.json" for name in sizes}
    for name, n in sizes.items():
        if not os.path.exists(nets[name]):
            subprocess.run([PYTHON, f"{HERE}/make_data.py", name, f"{folder}/{name}", str(n)], check=True)
    out = f"{folder}/out.kh0"

    def ours(name):
        return lambda: kith(build, nets[name], out, sizes[name])

    compare("ccff against GUDHI", ours("ccff"), lambda: column([PYTHON, f"{HERE}/rival_gudhi.py", nets["ccff"], "5"], [1]), 180)
    compare("ccff against SciPy", ours("ccff"), lambda: column([PYTHON, f"{HERE}/rival_scipy.py", nets["ccff"], "5"], [0, 1]), 33)
    for name, bar in ("ccff", 10), ("lenet5", 5.5):
        compare(f"{name} against sorting all edges", ours(name),
                lambda: column([f"{build}/bench/rival_sort", nets[name], "20"], [0]), bar)
    for options, bar in ([], 64), (["--no-values"], 12):
        kith(build, nets["ccff"], out, 1, *options)
        edges = int(subprocess.run(f"{build}/kith-show --edges {out} | grep -vc '^#'", shell=True, capture_output=True).stdout)
        print(f"ccff {' '.join(options)}: {8 * os.path.getsize(out) / edges:.1f} bits an edge, bar {bar}")
    # SciPy's time grows with the square of the samples: a tenth of them, times 100.
    net, part = f"{folder}/ccff-10000/net.json", f"{folder}/part.svm"
    if not os.path.exists(net):
        subprocess.run([PYTHON, f"{HERE}/make_data.py", "ccff", f"{folder}/ccff-10000", "10000"], check=True)
    kith(build, net, out, 1)
    with open(part, "w") as file:
        subprocess.run([f"{build}/kith-show", "--nodes", "0:1000", "--format", "svmlight", out], stdout=file, check=True)
    knn = [f"{build}/kith-knn", "-q", "-t", "1", "-k", "15", "--metric", "jaccard", "-o", f"{folder}/h0.nng", out]

    def scipy():
        seconds = column([PYTHON, f"{HERE}/rival_jaccard.py", part, "15"], [0])
        return seconds and seconds * 100 / 10000
    compare("jaccard neighbours of 10,000 samples against SciPy", lambda: cpu_of(knn) / 10000, scipy, 30)
    whole = kith(build, nets["alexnet"], out, 1)
    print(f"alexnet: {whole / 2:.2f} s a sample, of two, weights read and sorted included; bar 2.5")


main()
