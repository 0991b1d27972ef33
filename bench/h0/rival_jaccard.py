"""Jaccard neighbours by SciPy:  rival_jaccard.py SAMPLES.svm K ROWS

The products X X^T of the rows that kith-show --format svmlight writes, block by block, and the K nearest of each row by
argpartition, for the first ROWS rows against all. Prints the CPU seconds of that for all rows, without reading, and the
peak MiB."""
import resource
import sys
import time

import numpy
import scipy.sparse

BLOCK = 256
rows, at, k = [], [0], int(sys.argv[2])
for line in open(sys.argv[1]):
    entries = numpy.fromstring(line.replace(":", " "), dtype=numpy.float64, sep=" ")
    rows.append(entries[1::2].astype(numpy.int32))
    at.append(at[-1] + len(rows[-1]))
x = scipy.sparse.csr_matrix((numpy.ones(at[-1], dtype=numpy.int32), numpy.concatenate(rows), at))
some = min(int(sys.argv[3]), x.shape[0])
start = time.process_time()
size, turned = numpy.diff(x.indptr), x.T.tocsr()
once = time.process_time() - start
for first in range(0, some, BLOCK):
    last = min(first + BLOCK, some)
    both = (x[first:last] @ turned).toarray()
    either = size[first:last, None] + size - both
    far = (either - both) / either
    own = numpy.arange(len(both))
    far[own, first + own] = numpy.inf
    nearest = numpy.argpartition(far, k, axis=1)[:, :k]
taken = once + (time.process_time() - start - once) * x.shape[0] / some
print(f"{taken:.3f} {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}")
