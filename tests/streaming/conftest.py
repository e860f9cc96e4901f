"""Lets the tests import their made-up streams."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
