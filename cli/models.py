"""`cloak models`: where the weights come from."""

import json

import click


@click.command(name="models", short_help="List detectors with their weights, licences and hashes.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def command(as_json: bool) -> None:
    """List the detectors with their weights, licence, source and SHA-256."""
    import msgspec

    from cloak.detect.registry import models

    cards = models()
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(cards), indent=1))
        return
    for card in cards:
        click.echo(f"{card.name}{'' if card.available else '  (not installed)'}")
        for label in ("file", "licence", "source", "sha256", "trained_on"):
            click.echo(f"  {label:<11}{getattr(card, label)}")
