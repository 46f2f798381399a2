"""Steps that read and write files: lines, JSON Lines and CSV, gzipped or not."""

from pipelines.steps.files.csv_writing import write_csv
from pipelines.steps.files.globbing import glob
from pipelines.steps.files.live import stdin
from pipelines.steps.files.reading import read_csv, read_jsonl, read_lines
from pipelines.steps.files.writing import stdout, write_jsonl, write_lines

__all__ = [
    "glob",
    "read_csv",
    "read_jsonl",
    "read_lines",
    "stdin",
    "stdout",
    "write_csv",
    "write_jsonl",
    "write_lines",
]
