import json
import subprocess
import sys
from pathlib import Path

from recon.evaluation.hardware import describe_machine, machine_sentence


def test_machine_is_plain_data_and_names_the_essentials():
    machine = describe_machine()
    assert json.loads(json.dumps(machine)) == machine
    assert machine["cores"] >= 1
    assert machine["python"].count(".") == 2
    assert machine["recon"]


def test_sentence_leaves_out_what_is_unknown():
    assert machine_sentence({"cpu": None, "cores": 1}) == "unknown processor, 1 core"
    full = {
        "cpu": "Z80",
        "cores": 2,
        "instruction_set": "avx2",
        "memory_gb": 8.0,
        "gpu": None,
        "torch": "2.13",
    }
    assert machine_sentence(full) == "Z80, 2 cores, avx2, 8.0 GB memory, torch 2.13"


def test_describing_does_not_load_torch():
    code = "import sys, recon.evaluation as e; e.describe_machine(); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


def test_benchmark_header_has_date_command_and_machine():
    root = Path(__file__).parents[2]
    sys.path.insert(0, str(root))
    try:
        from benchmarks.hardware import header
    finally:
        sys.path.remove(str(root))
    lines = header(["recon", "benchmark", "a b"]).splitlines()
    assert [line.partition(":")[0] for line in lines] == ["* date", "* command", "* machine"]
    assert "`recon benchmark 'a b'`" in lines[1]
