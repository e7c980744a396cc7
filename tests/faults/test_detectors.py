"""Detectors that fail in every way that a program can."""

DETECTOR = "cloak.detect.yunet:YuNet.__call__"

ANSWERS = ("nan", "endless", "junk", "nothing", "flood")
"""What it may answer that is none; see `seam`."""


def test_a_detector_that_fails_withholds_its_photo_and_no_other(shoot):
    more = ("outside", "ten thousand")
    faults = [{"at": DETECTOR, "do": f"answer:{a}", "photo": f"{a}.jpg"} for a in ANSWERS]
    faults += [{"at": DETECTOR, "do": f"add:{a}", "photo": f"{a}.jpg"} for a in more]
    faults.append({"at": DETECTOR, "do": "raise:RuntimeError:words of a model", "photo": "raises.jpg"})
    faults.append({"at": DETECTOR, "do": "sleep:600", "photo": "hangs.jpg"})
    shoot.add("fine.jpg", "raises.jpg", "hangs.jpg", *(f"{answer}.jpg" for answer in (*ANSWERS, *more)))
    done = shoot.run("--deadline", "40", "-j", "2", faults=faults, code=1)
    rows = shoot.rows()
    reasons = {name.removesuffix(".jpg"): row.get("reason", "") for name, row in rows.items()}
    failed = dict.fromkeys((*ANSWERS, "raises", "ten thousand"), "detection-failed")
    assert reasons == failed | {"fine": "", "hangs": "timed-out", "outside": ""}
    assert shoot.published() == ["fine.jpg", "outside.jpg"]
    assert "words of a model" not in done.stderr + shoot.report.read_text()
    # Once the detector works, a run completes.
    shoot.run("-j", "2", code=0)
    assert len(shoot.published()) == 10
