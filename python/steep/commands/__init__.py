"""The commands of the program `steep`, one file each, and its exit codes. No library code."""

BAD_INPUT = 2
INTERRUPTED = 130  # 128 + SIGINT, as shells count
