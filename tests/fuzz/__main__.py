"""The command line of the fuzzing machine."""

import argparse
import sys

from .machine import main
from .readers import READERS

parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
parser.add_argument("--seeds", default="0:1000", help="A:B, from A to B - 1, for each reader")
parser.add_argument("--reader", action="append", choices=list(READERS), help="all, if left out")
parser.add_argument("--keep", help="folder for the smallest failing inputs")
sys.exit(main(parser.parse_args()))
