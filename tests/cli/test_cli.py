import errno
import hashlib
import io
import json
import os
import subprocess
import sys
import tomllib
from types import SimpleNamespace

import cloak.cli
import pytest
from cloak.cli import COMMANDS
from PIL import Image

from cloak.decisions import Decisions, dump
from cloak.effects import name_of
from cloak.geometry import Size
from cloak.ledger import Ledger
from cloak.pipeline import load
from cloak.records import Entry, beside
from tests.conftest import ROOT, SAMPLES


def cli(capfd, *arguments):
    """(exit code, standard output, standard error) of a call in this process."""
    with pytest.raises(SystemExit) as stop:
        cloak.cli.main([str(a) for a in arguments])
    out, err = capfd.readouterr()
    return stop.value.code, out, err


def test_help_loads_no_heavy_library():
    code = "import sys; from cloak.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
    code += "print([m for m in ('cv2', 'numpy', 'onnxruntime', 'PIL', 'msgspec') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_the_summary_of_the_list(capfd, name):
    import importlib

    command = importlib.import_module(f"cloak.cli.{name}").command
    assert command.short_help == COMMANDS[name]
    code, out, _ = cli(capfd, name, "--help")
    assert code == 0
    assert "Usage" in out
    for option in command.params:
        if option.param_type_name == "option":
            assert option.help, option.name


def test_version_says_which_jpeg_engine_is_in_use(capfd):
    code, out, _ = cli(capfd, "--version")
    assert code == 0
    assert "JPEG engine: " in out


def test_the_module_runs_as_the_command_does():
    done = subprocess.run([sys.executable, "-m", "cloak.cli", "--help"], capture_output=True, text=True)
    assert done.returncode == 0
    assert "Exit codes" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["run"], 2, "Missing argument"),
        (["run", "{here}/none.jpg"], 2, "--out"),
        (["run", "{here}/none.jpg", "--out", "{here}/p"], 1, "none.jpg: it cannot be read"),
        (["run", "{here}", "--out", "{here}"], 2, "originals"),
        (["run", "{here}/empty", "--out", "{here}/p"], 3, "no photo"),
        (["run", "{here}", "--out", "{here}/p", "--effect", "sepia"], 2, "known: blur, decoy, fill, perturb, pixelate"),
        (["run", "{here}", "--out", "{here}/p", "--pipeline", "mine"], 2, "known: FILE.toml, cms, newsroom"),
        (["run", "{here}", "--out", "{here}/p", "--cover", "face"], 2, "--accept-risk"),
        (["run", "{here}", "--out", "{here}/p", "--keep", "gps"], 2, "known: "),
        (["run", "{here}", "--out", "{here}/p", "--report", "{here}/p/r.json"], 2, "published"),
        (["run", "{here}", "--out", "{here}/p", "--recall", "best"], 2, "known: balanced, fast, thorough"),
        (["run", "{here}", "--out", "{here}/p", "--combine", "eyes"], 2, "known: cells, jitter"),
        (["run", "{here}", "--out", "{here}/p", "--effect", "perturb", "-p", "cms"], 2, "--accept-risk"),
        (["run", "{here}", "--out", "{here}/p", "--effect", "perturb", "--combine", "hat"], 2, "hat"),
        (["run", "-", "{here}", "--out", "{here}/p"], 2, "stands alone"),
        (["run", "-", "--dry-run"], 2, "--dry-run does not go with"),
        (["run", "-", "--deadline", "300"], 2, "--deadline does not go with"),
        (["run", "-", "--names", "random"], 2, "--names does not go with"),
        (["run", "-", "--decisions", "{here}/none"], 2, "--decisions names no file"),
        (["run", "--in-place", "{here}/a.jpg", "--force"], 2, "--force does not go with"),
        (["run", "--in-place", "{here}/a.jpg", "--names", "random"], 2, "--names does not go with"),
        (["run", "{here}", "--out", "-"], 2, "standard input"),
        (["run", "{here}", "--out", "{here}/p", "--contact-sheet", "-"], 2, "--contact-sheet names no file"),
        (["run", "{here}", "--out", "{here}/p", "--contact-sheet", ""], 2, "--contact-sheet names no file"),
        (["run", "{here}", "--out", "{here}/p", "--report", "{here}/b", "--contact-sheet", "{here}/x/../B"], 2, "same"),
        (["run", "{here}", "--out", "{here}/p", "--report", "{here}/L", "--ledger", "{here}/L"], 2, "same"),
        (
            ["run", "{here}", "--out", "{here}/p", "--report", "{here}/p.cloak/ledger.sqlite"],
            2,
            "--ledger and --report",
        ),
        (["audit", "{here}", "--self-test", "--json", "{here}/f.png", "--plot", "{here}/f.png"], 2, "same"),
        *(
            ([*command, f"{option}={value}"], 2, f"Invalid value for '{option}'")
            for command, option in [
                (["run", "{here}", "--out", "{here}/p"], "--deadline"),
                (["run", "{here}", "--out", "{here}/p"], "--cover-scale"),
                (["run", "{here}", "--out", "{here}/p"], "--min-face"),
                (["watch", "{here}", "--out", "{here}/p"], "--deadline"),
                (["watch", "{here}", "--out", "{here}/p"], "--settle"),
                (["review", "{here}"], "--deadline"),
                (["serve"], "--deadline"),
                (["plan", "{here}"], "--price"),
                (["audit", "{here}", "--self-test"], "--cover-scale"),
            ]
            for value in ("nan", "inf", "-5")
        ),
        (["verify", "{here}/none"], 1, "FAILED"),
        (["verify", "{here}/empty"], 3, "no file"),
        (["nonsense"], 2, "No such command"),
        (["pipelines", "show", "mine"], 2, "unknown pipeline"),
    ],
)
def test_errors_have_their_exit_code_and_say_what_to_do(capfd, tmp_path, jpeg, arguments, code, words):
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.jpg").write_bytes(jpeg())
    got, out, err = cli(capfd, *(a.format(here=tmp_path) for a in arguments))
    assert (got, words in out + err) == (code, True), (got, out, err)


def test_ndjson_has_a_line_a_photo_and_nothing_else_on_standard_output(capfd, tmp_path, jpeg, landscape):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.jpg").write_bytes(jpeg())
    (tmp_path / "in/b.jpg").write_bytes(landscape)
    code, out, err = cli(capfd, "run", tmp_path / "in", "--out", tmp_path / "out", "--report", "-")
    rows = [json.loads(line) for line in out.splitlines()]
    assert code in (0, 4)
    assert sorted(row["status"] for row in rows) == ["concealed", "no-face"]
    assert "concealed" in err


class Gone(io.StringIO):
    """A pipe whose reader has ended."""

    def write(self, text):
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")


def test_a_reader_that_goes_away_is_no_photo_that_was_withheld(capfd, monkeypatch):
    monkeypatch.setattr(sys, "stdout", Gone())
    assert cli(capfd, "pipelines", "list") == (141, "", "")


def test_quiet_is_quiet(capfd, tmp_path, jpeg):
    (tmp_path / "a.jpg").write_bytes(jpeg())
    code, out, err = cli(capfd, "run", tmp_path / "a.jpg", "--out", tmp_path / "out", "-q")
    assert (code in (0, 4), out, err) == (True, "", "")


def test_standard_input_goes_to_standard_output(jpeg, tmp_path):
    command = [sys.executable, "-m", "cloak.cli", "run", "-"]
    done = subprocess.run(command, input=jpeg(), capture_output=True, timeout=120)
    assert done.returncode in (0, 4)
    assert done.stdout.startswith(b"\xff\xd8\xff")
    held = subprocess.run([*command, "--report", tmp_path / "r.json"], input=b"words", capture_output=True, timeout=120)
    assert held.returncode == 1
    assert held.stdout == b""
    assert b"no image" in held.stderr or b"not an image" in held.stderr


@pytest.mark.parametrize("closed", ["stdin", "stdout"])
def test_a_photo_neither_comes_from_nor_goes_to_a_stream_that_is_closed(capfd, monkeypatch, closed):
    monkeypatch.setattr(sys, closed, None)
    code, _, err = cli(capfd, "run", "-")
    assert (code, "must both be open" in err) == (2, True)


def test_standard_input_without_a_face_is_held_back_by_the_newsroom(landscape):
    command = [sys.executable, "-m", "cloak.cli", "run", "-", "-p", "newsroom", "--recall", "fast"]
    done = subprocess.run(command, input=landscape, capture_output=True, timeout=120)
    assert done.returncode == 4
    assert done.stdout == b""


@pytest.mark.parametrize(
    ("name", "flags", "words"),
    [
        ("landscape.jpg", ["--decisions", "{here}/hold.cloak.json"], "a person decided so"),
        ("landscape.jpg", ["--no-face", "hold"], "no face to conceal was found"),
        ("group.jpg", ["--review"], "before a person has accepted it"),
    ],
)
def test_what_is_held_back_from_standard_output_has_its_reason(
    capfd, monkeypatch, tmp_path, samples, name, flags, words
):
    (tmp_path / "hold.cloak.json").write_bytes(dump(Decisions(Size(640, 427), verdict="hold")))
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO((samples / name).read_bytes())))
    code, out, err = cli(capfd, "run", "-", "--recall", "fast", *(flag.format(here=tmp_path) for flag in flags))
    assert (code, out, words in err) == (4, "", True), err


def test_the_report_of_a_pipe_tells_of_a_photo_that_is_withheld(capfd, monkeypatch, tmp_path, landscape):
    """What stood there of an earlier photo would say that all is well."""
    report = tmp_path / "report.json"
    for data, status, exit_code in (landscape, "no-face", 0), (landscape[:5000], "withheld", 1):
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))
        code, _, _ = cli(capfd, "run", "-", "--recall", "fast", "--report", report)
        told = json.loads(report.read_text())
        assert (code, told["photos"][0]["status"], told["totals"]["exit_code"]) == (exit_code, status, exit_code)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no disk that is full")
@pytest.mark.parametrize(("reader", "code"), [("a full disk", 2), ("one that has gone", 141)])
def test_the_report_of_a_pipe_tells_that_nobody_took_the_photo(tmp_path, landscape, reader, code):
    report = tmp_path / "report.json"
    ends = os.pipe()
    os.close(ends[0])
    with open("/dev/full", "wb") as full:
        command = [sys.executable, "-m", "cloak.cli", "run", "-", "--recall", "fast", "--report", report]
        taker = full if reader == "a full disk" else ends[1]
        done = subprocess.run(list(map(str, command)), input=landscape, stdout=taker, stderr=subprocess.PIPE)
    os.close(ends[1])
    told = json.loads(report.read_text())
    (photo,) = told["photos"]
    assert (done.returncode, told["totals"]["exit_code"]) == (code, code), done.stderr
    assert (photo["status"], photo["reason"], "target" in photo) == ("withheld", "not-written", False)


def test_a_photo_without_a_face_comes_through_a_pipe_with_a_word(capfd, monkeypatch, landscape):
    for flags, words in ([], ["no face was found"]), (["-q"], []):
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(landscape)))
        code, out, err = cli(capfd, "run", "-", "--recall", "fast", *flags)
        assert (code, out != "", [line.split(":")[0] for line in err.splitlines()]) == (0, True, words)


def test_a_risk_that_a_strangers_pipeline_accepts_is_named_even_if_quiet(capfd, monkeypatch, tmp_path):
    (tmp_path / "nice.toml").write_text('accept_risk = true\ncover = { shape = "face", scale = 1.0 }\n')
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"words")))
    code, _, err = cli(capfd, "run", "-", "-q", "-p", tmp_path / "nice.toml")
    risks = [line for line in err.splitlines() if line.startswith("risk ")]
    assert (code, len(risks), "hairline" in risks[-1]) == (1, 2, True)


def test_inspect_names_carriers_and_hides_places(capfd, samples):
    code, out, _ = cli(capfd, "inspect", samples / "located.jpg")
    assert code == 0
    assert "APP1 Exif" in out
    assert "use --show-values" in out
    assert "face  " in out
    _, shown, _ = cli(capfd, "inspect", samples / "located.jpg", "--show-values", "--json")
    (document,) = json.loads(shown)
    places = [fact["value"] for fact in document["facts"] if fact["rank"] == 0]
    assert places
    assert not [place for place in places if place in out]
    assert document["faces"]
    ranks = [fact["rank"] for fact in document["facts"]]
    assert ranks == sorted(ranks)


def test_inspect_changes_nothing_and_survives_garbage(capfd, tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(b"\xff\xd8\xff\xe1garbage")
    stamp = path.stat().st_mtime_ns
    code, out, _ = cli(capfd, "inspect", path, tmp_path / "none.jpg")
    assert code == 1
    assert "does not open" in out
    assert path.stat().st_mtime_ns == stamp


@pytest.mark.parametrize("command", [["run", "--dry-run"], ["plan"]])
def test_what_writes_nothing_takes_no_folder_for_its_output(capfd, tmp_path, monkeypatch, command):
    (tmp_path / "public").mkdir()
    (tmp_path / "public/words.txt").write_text("words")
    monkeypatch.chdir(tmp_path)
    for given in ("public", "."):
        code, _, err = cli(capfd, *command, given)
        assert code == 3, err  # there is no photo, but it was looked at
        assert command == ["plan"] or "words.txt: not an image" in err


def test_verify_finds_a_carrier_and_a_bare_face(capfd, tmp_path, jpeg):
    (tmp_path / "public").mkdir()
    data = jpeg()
    (tmp_path / "public/a.jpg").write_bytes(data[:2] + b"\xff\xfe\x00\x06abcd" + data[2:])
    code, out, _ = cli(capfd, "verify", tmp_path / "public", "--json")
    (row,) = [json.loads(line) for line in out.splitlines()]
    assert code == 1
    assert any("COM" in problem for problem in row["problems"])
    assert any("face" in problem for problem in row["problems"])


def test_verify_knows_published_bytes_wherever_they_lie_below_the_output(tmp_path):
    from cloak.cli.verify import _Memory, _nearest

    photo = tmp_path / "public/day/a.jpg"
    photo.parent.mkdir(parents=True)
    row = {"cover": {"shape": "head", "scale": 1.4}, "detections": [[]], "kept": ["caption"]}
    with Ledger(beside(tmp_path / "public")) as ledger:
        ledger.record("DAY/a-2.jpg", Entry("", "", hashlib.sha256(b"clean").hexdigest(), row))
    (tmp_path / "today").symlink_to("public/day")
    for given in (photo, photo.parent, tmp_path / "public", tmp_path / "today", tmp_path / "today/a.jpg"):
        with Ledger(_nearest(given), lock=False) as ledger:
            known, other = map(_Memory(ledger).recall, (b"clean", b"other"))
        assert known == ([[]], [[]], {"caption"})
        assert other[0] is None
    assert _nearest(tmp_path / "other.jpg") is None


def test_verify_opens_what_a_run_with_raised_limits_has_published(capfd, tmp_path):
    (tmp_path / "many.toml").write_text('recall = "fast"\n[limits]\npixels = 300_000_000\nframes = 1_500\n')
    frames = [Image.new("L", (8, 8), shade % 256) for shade in range(1_010)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert cli(capfd, "run", tmp_path / "a.gif", "-o", tmp_path / "public", "-p", tmp_path / "many.toml", "-q")[0] == 0
    assert cli(capfd, "verify", tmp_path / "public", "-q") == (0, "", "")
    copied = tmp_path / "copied.gif"
    copied.write_bytes((tmp_path / "public/a.gif").read_bytes())
    assert "more than 1000 frames" in cli(capfd, "verify", copied)[1]
    assert cli(capfd, "verify", copied, "--max-frames", 1_500, "-q") == (0, "", "")
    assert "pixels" in cli(capfd, "verify", copied, "--max-frames", 1_500, "--max-pixels", 1_000)[1]


def test_verify_takes_a_file_whose_name_leaves_no_room_for_a_ledger(capfd, tmp_path, landscape):
    long = tmp_path / ("x" * 251 + ".jpg")
    assert cli(capfd, "run", SAMPLES / "landscape.jpg", "-o", tmp_path / "public", "-q")[0] == 0
    long.write_bytes((tmp_path / "public/landscape.jpg").read_bytes())
    assert cli(capfd, "verify", long, "-q") == (0, "", "")


def test_a_strangers_pipeline_does_not_drive_the_terminal(capfd, tmp_path):
    sly = "\x9b31m\u202e\U000e0041"
    place = tmp_path / "a\x1b[31m\nmin_face = 48.toml"
    place.write_text(f'disclosure = "{sly}"\n')
    code, out, _ = cli(capfd, "pipelines", "show", place)
    assert (code, tomllib.loads(out)["disclosure"], tomllib.loads(out).get("min_face")) == (0, sly, None)
    assert not [c for c in out if c != "\n" and not c.isprintable()]
    place.write_text("bogus = 1\n")
    code, _, err = cli(capfd, "pipelines", "show", place)
    assert (code, [c for c in err if c != "\n" and not c.isprintable()]) == (2, [])


def test_pipelines_show_prints_the_effective_values_as_toml(capfd):
    code, out, _ = cli(capfd, "pipelines", "show", "newsroom", "--effect", "fill", "--no-face", "publish")
    table = tomllib.loads(out)
    assert code == 0
    assert table["effect"]["name"] == "fill"
    assert table["no_face"] == "publish"
    assert table["cover"]["scale"] == 1.4
    code, out, _ = cli(capfd, "pipelines", "list")
    assert [line.split()[0] for line in out.splitlines()] == ["cms", "newsroom", "photographer"]


def test_the_table_of_the_documents_says_what_the_pipelines_do():
    lines = (ROOT / "docs/pipelines.md").read_text("utf-8").splitlines()
    rows = {name: words for name, *words in (line.strip("| ").split(" | ") for line in lines)}
    names = {"kept": "keep", "numbered": "sequence", "random": "random"}
    for at, pipeline in enumerate(load(name) for name in ("photographer", "newsroom", "cms")):
        said = {name: words[at] for name, words in rows.items() if len(words) == 3}
        assert names[said["file names"]] == pipeline.names
        assert said["faces are searched"] == pipeline.recall
        assert said["effect"].split(",")[0] == name_of(pipeline.effect)
        assert said["no face found"].startswith("held") == (pipeline.no_face == "hold")
        assert said["a person accepts every photo first"].startswith("yes") == (pipeline.review == "required")


def test_models_lists_weights_with_licence_source_and_hash(capfd):
    code, out, _ = cli(capfd, "models", "--json")
    cards = {card["name"]: card for card in json.loads(out)}
    assert code == 0
    assert {"yunet", "centerface", "nanodet"} <= set(cards)
    for card in cards.values():
        assert len(card["sha256"]) == 64
        assert card["licence"]
        assert card["source"]


def test_a_person_without_a_face_is_told_and_ends_with_4_unless_they_are_not_looked_for(capfd, tmp_path, behind):
    (tmp_path / "a.jpg").write_bytes(behind)
    report = tmp_path / "r.json"
    code, words, _ = cli(capfd, "run", tmp_path / "a.jpg", "--out", tmp_path / "out", "--report", report)
    assert code == 4
    assert "people without a face" in words
    document = json.loads(report.read_text())
    assert document["totals"]["faceless"] == 1
    ((head,),) = document["photos"][0]["faceless"]
    assert head["models"] == ["nanodet"]
    code, words, _ = cli(capfd, "run", tmp_path / "a.jpg", "--out", tmp_path / "without", "--no-persons")
    assert code == 0
    assert "people without a face" not in words


def test_the_report_is_for_the_owner_only(capfd, tmp_path, jpeg):
    (tmp_path / "a.jpg").write_bytes(jpeg())
    cli(capfd, "run", tmp_path / "a.jpg", "--out", tmp_path / "out", "--report", tmp_path / "r.json")
    assert os.stat(tmp_path / "r.json").st_mode & 0o077 == 0


def test_a_file_on_which_verify_itself_fails_is_named_and_the_others_are_checked(capfd, tmp_path, jpeg, monkeypatch):
    import cloak.verify

    (tmp_path / "public").mkdir()
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / "public" / name).write_bytes(jpeg())

    def fail(*arguments):
        raise TypeError("secret words")

    monkeypatch.setattr(cloak.verify, "problems", fail)
    code, out, err = cli(capfd, "verify", tmp_path / "public")
    assert code == 1
    assert out.count("internal error: TypeError") == 2
    assert "secret" not in out + err


def test_a_face_concealed_in_one_frame_and_bare_in_the_next_is_flagged(capfd, tmp_path, samples):
    from PIL import Image, ImageFilter

    shoot, report = tmp_path / "shoot", tmp_path / "report.json"
    shoot.mkdir()
    frame = Image.open(samples / "group.jpg").convert("RGB")
    frame.save(shoot / "1.jpg", quality=92)
    x, y, w, h = json.loads((samples / "expected.json").read_text())["group.jpg"]["faces"][0]
    # Moved so fast that no detector sees it: the face is as bare as the others were.
    place = tuple(int(v) for v in (x - w / 2, y - h / 2, x + 1.5 * w, y + 1.5 * h))
    frame.paste(frame.crop(place).filter(ImageFilter.GaussianBlur(w / 3)), place[:2])
    frame.save(shoot / "2.jpg", quality=92)
    frame.save(shoot / "other.jpg", quality=92)
    code, _, err = cli(capfd, "run", shoot, "--out", tmp_path / "p", "--jobs", 1, "--report", report)
    assert code == 4
    assert "2.jpg: a face that is concealed in 1.jpg may be bare here" in err
    rows = {row["target"]: row for row in json.loads(report.read_text())["photos"]}
    assert "bare_in_burst" not in rows["1.jpg"]
    (bare, *_) = rows["2.jpg"]["bare_in_burst"]
    assert abs(bare["box"]["x"] - x) < w
    assert json.loads(report.read_text())["totals"]["bare"] == 2
    code, _, _ = cli(capfd, "run", shoot, "--out", tmp_path / "p", "--jobs", 1)
    assert code == 4
