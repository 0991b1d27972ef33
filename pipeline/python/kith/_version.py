"""The version of kith, as CMakeLists.txt has it."""

__version__ = "0.1.0"
