"""What an audit says: rows for JSON, a table, verdicts in plain words, and a plot. No pixels, no embeddings."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from cloak import recognise
from cloak.audit.audit import Finding, Visible
from cloak.errors import MissingExtra

ALLOWED = 3.0
"""Times chance: an effect whose strongest adversary does better at rank 1 does not pass."""


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
    """Whether no adversary, surrogates included, does better than `ALLOWED` times chance at rank 1."""
    return all(finding.rank1.value <= ALLOWED * finding.chance + 1e-9 for finding in findings)


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
            f"{name}: {words[kind]} finds {_of(best)} ({times:.1f} times chance; "
            f"{best.rank1.low:.0%} to {best.rank1.high:.0%}; {at})"
        )
    if not any(finding.role == "held-out" for finding in findings if finding.adversary != "trained"):
        lines.append(f"{name}: no held-out recogniser was run, so these figures are no headline")
    people = max(finding.people for finding in findings)
    if passes(findings):
        lines.append(f"{name}: passes: no adversary beats {ALLOWED:g} times chance among {people} people")
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


def document(
    findings: Sequence[Finding], changes: Sequence[Visible], settings: dict[str, Any], seconds: dict[str, float]
) -> dict[str, Any]:
    """The whole audit, for JSON."""
    names = list(dict.fromkeys(finding.effect for finding in findings))
    return {
        "settings": settings,
        "recognisers": {name: {"role": card.role, "source": card.source} for name, card in recognise.CARDS.items()},
        "verdicts": {name: verdicts([f for f in findings if f.effect == name]) for name in names},
        "passes": {name: passes([f for f in findings if f.effect == name]) for name in names},
        "visible": msgspec.to_builtins(list(changes)),
        "seconds_per_face": seconds,
        "findings": [msgspec.to_builtins(finding) | {"chance": finding.chance} for finding in findings],
    }


def plot(findings: Sequence[Finding], changes: Sequence[Visible], path: Path) -> None:
    """A picture: rank-1 of the strongest adversary of each kind over how much of the face was changed.

    Raises `MissingExtra` without matplotlib.
    """
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise MissingExtra("the plot", "audit") from error
    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 5))
    seen = {change.effect: 1 - change.ssim_face for change in changes}
    for kind, colour, mark in (("naive", "#1b6ca8", "o"), ("adaptive", "#c7662b", "s"), ("trained", "#7a3e9d", "^")):
        points = []
        for name, change in seen.items():
            best = headline([finding for finding in findings if finding.effect == name]).get(kind)
            if best is not None:
                points.append((change, best.rank1, name))
        points.sort(key=lambda point: point[0])
        if not points:
            continue
        x, y = [point[0] for point in points], [100 * point[1].value for point in points]
        spread = [[100 * (r.value - r.low) for _, r, _ in points], [100 * (r.high - r.value) for _, r, _ in points]]
        axes.errorbar(x, y, yerr=spread, color=colour, marker=mark, label=kind, capsize=3, linewidth=1)
        if kind == "trained" or len(headline(findings)) == 1:
            for place, height, name in zip(x, y, [point[2] for point in points], strict=True):
                axes.annotate(name, (place, height), textcoords="offset points", xytext=(4, 6), fontsize=8)
    if findings:
        axes.axhline(100 * findings[0].chance, color="#555555", linestyle=":", label="chance")
        axes.axhline(100 * ALLOWED * findings[0].chance, color="#555555", linestyle="--", label="3 times chance")
    axes.set_xlabel("visible change of the face (1 - SSIM)")
    axes.set_ylabel("found at rank 1, %")
    axes.set_yscale("symlog", linthresh=1)
    axes.set_ylim(0, 110)
    axes.legend(loc="best")
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def _of(finding: Finding) -> str:
    """ "28 of 100" """
    return f"{100 * finding.rank1.value:.0f} of 100"
