"""What an audit says: rows for JSON, a table, verdicts in plain words, and a plot. No pixels, no embeddings."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from cloak import recognise
from cloak.audit.adversary import AROUND, UNDER
from cloak.audit.audit import Finding, Visible
from cloak.audit.figures import Rate
from cloak.errors import MissingExtra

ALLOWED = 3.0
"""Times chance: an effect whose strongest adversary does better at rank 1 does not pass."""

TITLE = "cloak audit"
"""In the metadata of a plot, by which it is known for one of an earlier audit."""


def headline(findings: Sequence[Finding]) -> dict[str, Finding]:
    """The strongest finding of each kind of adversary: "naive", "adaptive" (held-out recognisers only) and "trained".

    Surrogates do not count: what `perturb` was optimised against says nothing of what others see.
    """
    best: dict[str, Finding] = {}
    for finding in findings:
        if finding.role != "surrogate":
            known = best.get(finding.adversary)
            if known is None or finding.rank1.value > known.rank1.value:
                best[finding.adversary] = finding
    return best


def passes(findings: Sequence[Finding]) -> bool:
    """Whether all photos were attacked, and no adversary, surrogates included, beats `ALLOWED` times chance."""
    return bool(findings) and not any(finding.absent or _beats(finding) for finding in findings)


def _beats(finding: Finding) -> bool:
    return finding.rank1.value > ALLOWED * finding.chance + 1e-9


def verdicts(findings: Sequence[Finding]) -> list[str]:
    """A sentence for each kind of adversary, and one that sums up, for the findings on one effect."""
    if not findings:
        return ["nothing was measured"]
    name = findings[0].effect
    lines = []
    words = {
        "naive": "a face search with clean photos of the same people",
        "adaptive": "a face search that conceals its own gallery alike",
        "trained": "an adversary who learned from concealed photos of these very people",
    }
    for kind, best in headline(findings).items():
        times = best.rank1.value / best.chance
        at = f"{best.method}{'' if best.part == 'face' else f', {best.part}'}, {best.later}"
        lines.append(
            f"{name}: {words[kind]} finds {_of(best)} ({times:.1f} times chance among {best.people} people; "
            f"{best.rank1.low:.0%} to {best.rank1.high:.0%}; {at})"
        )
    if not any(finding.role == "held-out" for finding in findings if finding.adversary != "trained"):
        lines.append(f"{name}: no held-out recogniser was run, so these figures are no headline")
    inner = [finding for finding in findings if finding.part == UNDER]
    whole = [finding for finding in findings if finding.part == AROUND]
    if inner and whole and max(f.rank1.value for f in whole) > max(f.rank1.value for f in inner):
        best = max(inner, key=lambda finding: finding.rank1.value)
        lines.append(
            f"{name}: from what lies under the cover alone, {_of(best)} are found; the rest is told by hair, clothes "
            "and backdrop beside it"
        )
    people = max(finding.people for finding in findings)
    absent = max(finding.absent for finding in findings)
    if passes(findings):
        lines.append(f"{name}: passes: no adversary beats {ALLOWED:g} times chance among {people} people")
    elif not any(map(_beats, findings)):
        lines.append(f"{name}: cannot pass: {absent} of the photos were not there to be attacked")
    else:
        worst = max(findings, key=lambda finding: finding.rank1.value)
        lines.append(
            f"{name}: does not pass: {worst.adversary}, {worst.method}, {worst.part}, reaches "
            f"{worst.rank1.value / worst.chance:.1f} times chance among {people} people"
        )
    return lines


def table(findings: Sequence[Finding]) -> list[str]:
    """Lines of a table, a finding each."""
    head = (
        f"{'effect':<18}{'adversary':<10}{'method':<22}{'part':<23}{'place':<10}{'later':<20}{'split':<8}"
        f"{'probes':>6}{'rank 1':>8}{'95 %':>13}{'rank 5':>8}{'match':>7}{'found':>7}"
    )
    lines = [head]
    for f in findings:
        method = f.method + (" *" if f.role == "held-out" else "")
        interval = f"{f.rank1.low:.1%}-{f.rank1.high:.1%}"
        matched = "" if f.matched is None else f"{f.matched.value:.0%}"
        lines.append(
            f"{f.effect:<18}{f.adversary:<10}{method:<22}{f.part:<23}{f.place:<10}{f.later:<20}{f.split:<8}"
            f"{f.probes:>6}{f.rank1.value:>8.1%}{interval:>13}{f.rank5.value:>8.1%}{matched:>7}{f.found.value:>7.0%}"
        )
    return lines


def document(findings: Sequence[Finding], changes: Sequence[Visible], settings: dict[str, Any]) -> dict[str, Any]:
    """The whole audit, for JSON."""
    names = list(dict.fromkeys(finding.effect for finding in findings))
    return {
        "settings": settings,
        "recognisers": {name: {"role": card.role, "source": card.source} for name, card in recognise.CARDS.items()},
        "verdicts": {name: verdicts([f for f in findings if f.effect == name]) for name in names},
        "passes": {name: passes([f for f in findings if f.effect == name]) for name in names},
        "visible": msgspec.to_builtins(list(changes)),
        "seconds_per_face": {change.effect: change.seconds for change in changes},
        "findings": [msgspec.to_builtins(finding) | {"chance": finding.chance} for finding in findings],
    }


def plot(findings: Sequence[Finding], changes: Sequence[Visible], to: Path | BinaryIO, form: str | None = None) -> None:
    """A picture: what the strongest adversary finds at rank 1 over how much of the face was changed.

    One line an effect, through its strengths and covers (the first word of a name is the effect's). The form is "png"
    or "svg"; None: as the path says. Raises `MissingExtra` without matplotlib.
    """
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise MissingExtra("the plot", "audit") from error
    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 5))
    lines: dict[str, list[tuple[float, Rate, str]]] = {}
    for change in changes:
        own = [finding for finding in findings if finding.effect == change.effect]
        best = max(headline(own).values(), key=lambda finding: finding.rank1.value, default=None)
        if best is not None and change.ssim_face is not None:
            family = change.effect.replace(",", " ").split()[0]
            lines.setdefault(family, []).append(
                (1 - change.ssim_face, best.rank1, f"{change.effect} ({best.adversary})")
            )
    for (family, points), mark in zip(lines.items(), "osD^vP*X" * len(lines), strict=False):
        points.sort()
        x, y = [point[0] for point in points], [100 * point[1].value for point in points]
        spread = [[100 * (r.value - r.low) for _, r, _ in points], [100 * (r.high - r.value) for _, r, _ in points]]
        axes.errorbar(x, y, yerr=spread, marker=mark, label=family, capsize=3, linewidth=1)
    everything = sorted(point for points in lines.values() for point in points)
    for i, (x_place, rate, name) in enumerate(everything):  # neighbours' names at other heights, lest they overlap
        where = (x_place, 100 * rate.value)
        axes.annotate(name, where, textcoords="offset points", xytext=(5, (5, -11, 14)[i % 3]), fontsize=7)
    if findings:
        axes.axhline(100 * findings[0].chance, color="#555555", linestyle=":", label="chance")
        axes.axhline(100 * ALLOWED * findings[0].chance, color="#555555", linestyle="--", label="3 times chance")
    axes.set_xlabel("visible change of the face (1 - SSIM)")
    axes.set_ylabel("found at rank 1 by the strongest adversary, %")
    axes.set_yscale("symlog", linthresh=1)
    axes.set_ylim(0, 250)
    axes.yaxis.set_major_formatter("{x:g}")
    axes.margins(x=0.25)  # room for the names
    axes.legend(loc="best")
    figure.tight_layout()
    figure.savefig(to, format=form, dpi=120, metadata={"Title": TITLE})
    pyplot.close(figure)


def seen(change: Visible) -> str:
    """What a viewer sees of an effect, in a line."""
    if change.ssim_photo is None or change.ssim_face is None:
        return f"{change.effect}: no photo kept its size, so its visible change is not known"
    line = f"{change.effect}: SSIM of the photo {change.ssim_photo:.3f}, of the face {change.ssim_face:.3f}"
    if change.lpips_photo is None or change.lpips_face is None:
        return line
    return f"{line}; LPIPS {change.lpips_photo:.3f} and {change.lpips_face:.3f}"


def _of(finding: Finding) -> str:
    """ "28 of 100" """
    return f"{100 * finding.rank1.value:.0f} of 100"
