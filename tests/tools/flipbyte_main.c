/* flipbyte - changes one byte of a file: flipbyte FILE OFFSET [MASK] (the byte is XORed with MASK, default 1). */
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
	FILE *file = argc > 2 ? fopen(argv[1], "r+b") : NULL;
	long offset = argc > 2 ? atol(argv[2]) : 0;
	int mask = argc > 3 ? atoi(argv[3]) : 1, byte;
	if (!file || fseek(file, offset, SEEK_SET) || (byte = getc(file)) == EOF || fseek(file, offset, SEEK_SET) ||
	    putc(byte ^ mask, file) == EOF || fclose(file)) {
		fprintf(stderr, "flipbyte: cannot\n");
		return 1;
	}
	return 0;
}
