"""The script that measures lighter models: it stores each once, goes on where it stopped, and writes table and figure.

About 4 s.
"""

import json

from tests.scripts import script

light = script("notebooks/scripts/light.py")


def test_a_run_is_stored_once_and_told_in_table_and_figure(tmp_path, capsys):
    words = ["--only", "int8", "channels-0.5-trained", "--steps", "1", "--test-images", "2", "--results", str(tmp_path)]
    assert light.main(words) == 0
    stored = {path.name: json.loads(path.read_text()) for path in tmp_path.glob("*.json")}
    assert sorted(stored) == ["channels-0.5-trained-0.json", "int8-0.json"]
    assert stored["int8-0.json"]["steps"] == 0 and stored["channels-0.5-trained-0.json"]["steps"] == 1
    assert stored["int8-0.json"]["command"] == "python notebooks/scripts/light.py --only int8 --seeds 0 --steps 1"
    assert light.main(words) == 0 and "2 of 2 runs are in" in capsys.readouterr().out
    assert light.main(["--results", str(tmp_path), "--table", str(tmp_path / "t")]) == 0
    rows = [line.split("|")[1].strip() for line in (tmp_path / "t" / "light.md").read_text().splitlines()[2:4]]
    assert rows == ["int8 weights", "channels taken out"]
    assert (tmp_path / "t" / "light.png").stat().st_size > 5000


def test_an_unknown_model_is_refused_in_one_line(tmp_path, capsys):
    assert light.main(["--only", "int9", "--results", str(tmp_path)]) == 2
    assert "'int9' is no model of this comparison" in capsys.readouterr().err
