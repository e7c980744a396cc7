"""`cloak models`: where the weights come from."""

import json

import click


@click.command(name="models", short_help="List detectors with their weights, licences and hashes.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def command(as_json: bool) -> None:
    """List the detectors, and the recogniser of people to keep, with their weights, licence, source and SHA-256."""
    import msgspec

    from cloak.detect.registry import models
    from cloak.detect.weights import ModelCard
    from cloak.recognise import CARDS
    from cloak.weights import provenance

    cards = models()
    for card in CARDS.values():
        if card.shipped:
            facts = provenance("cloak.recognise")[card.file]
            source = f"{facts['upstream']}; from {facts['package']}"
            about = (facts["licence"], source, facts["sha256"], facts["trained_on"])
            cards.append(ModelCard(card.name, card.file, *about, available=True))
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(cards), indent=1))
        return
    for card in cards:
        click.echo(f"{card.name}{'' if card.available else '  (not installed)'}")
        for label in ("file", "licence", "source", "sha256", "trained_on"):
            click.echo(f"  {label:<11}{getattr(card, label)}")
