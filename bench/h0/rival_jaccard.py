"""Jaccard neighbours by SciPy:  rival_jaccard.py SAMPLES.svm K

The products X X^T of the rows that kith-show --format svmlight writes, block by block, and the K nearest of each row by
argpartition. Prints the CPU seconds of that, without reading."""
import sys
import time

import numpy
import scipy.sparse

rows, at, k = [], [0], int(sys.argv[2])
for line in open(sys.argv[1]):
    rows.append(numpy.array([int(entry.split(":")[0]) for entry in line.split()[1:]], dtype=numpy.int32))
    at.append(at[-1] + len(rows[-1]))
x = scipy.sparse.csr_matrix((numpy.ones(at[-1], dtype=numpy.int32), numpy.concatenate(rows), at))
start = time.process_time()
size, turned = numpy.diff(x.indptr), x.T.tocsr()
for first in range(0, len(size), 256):
    both = (x[first:first + 256] @ turned).toarray()
    either = size[first:first + 256, None] + size - both
    far = (either - both) / either
    own = numpy.arange(len(both))
    far[own, first + own] = numpy.inf
    nearest = numpy.argpartition(far, k, axis=1)[:, :k]
print(time.process_time() - start)
