"""What a person sees of the steps before the training."""

from recon.methods import progress
from recon.methods.progress import shown_steps


def test_without_a_terminal_lines_come_now_and_then(capsys, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with shown_steps("camera poses") as show:
        show("finding features", 0.1)
        now[0] = 6.0
        show("matching features", 0.25)
        show("mapping [5] photos", 0.6)
    assert capsys.readouterr().err == "camera poses: matching features (25%)\n"


def test_on_a_terminal_any_sentence_can_be_shown(monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    with shown_steps("camera poses") as show:
        show("rendering at [/bold]photo.jpg", 0.5)
        show("poses checked", 1.0)
