"""The commands of `hub`, their options, and how they end. Each imports what it needs when it runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from hub.errors import HubError, Misconfigured

Config = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="settings file (default: HUB_CONFIG, else hub.toml if it is there)"),
]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON instead of a table")]
Limit = Annotated[int, typer.Option(min=1, max=10_000, help="how many rows at most")]
Before = Annotated[int, typer.Option(min=0, help="only rows with a smaller id: the next page")]
State = Annotated[str, typer.Option(help="only rows in this state")]
OnChannel = Annotated[str, typer.Option("--channel", help="only rows of this channel")]
Name = Annotated[str, typer.Argument(help="name of the channel")]
RowId = Annotated[int, typer.Argument(min=1, help="id, as the listing shows it")]

_chosen: dict[str, Path | None] = {}


class NotReachable(HubError):
    """The hub, its database or a system does not answer: exit code 3."""

    code = "transient"


def _group(help: str) -> typer.Typer:
    return typer.Typer(help=help, no_args_is_help=True, add_completion=False)


app = typer.Typer(
    name="hub",
    help="Sanyi Hub: hospital, insurer and drug supply speak FHIR R4 through one store.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
adapter = _group("Installed adapters.")
channel = _group("Channels of the hub.")
mapping = _group("Mapping documents.")
message = _group("Messages that came in.")
conversation = _group("Conversations with other systems.")
dead_letter = _group("Deliveries that wait for a person.")
conformance = _group("Does a FHIR server do what R4 asks?")
app.add_typer(adapter, name="adapter")
app.add_typer(channel, name="channel")
app.add_typer(mapping, name="map")
app.add_typer(message, name="message")
app.add_typer(conversation, name="conversation")
app.add_typer(dead_letter, name="dead-letter")
app.add_typer(conformance, name="conformance")


@app.callback()
def _before(config: Config = None) -> None:
    _chosen["config"] = config


def file(config: Path | None) -> Path | None:
    """--config of the command itself, else the one before it."""
    return config or _chosen.get("config")


def run(arguments: list[str] | None = None) -> int:
    """Run one command; its exit code. Errors are one message on stderr, never a traceback."""
    try:
        app(args=arguments, prog_name="hub")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    except KeyboardInterrupt:
        return 130
    except HubError as error:
        print(f"hub: {error}", file=sys.stderr)
        return exit_code(error)
    return 0


def exit_code(error: HubError) -> int:
    """2 for settings, 3 where something does not answer, 1 for everything that was checked and is bad."""
    if isinstance(error, NotReachable) or (
        isinstance(error.__cause__, OSError) and _is_network(error.__cause__)
    ):
        return 3
    return 2 if isinstance(error, Misconfigured) else 1


def _is_network(error: OSError) -> bool:
    return isinstance(error, ConnectionError | TimeoutError) or type(error).__name__ == "gaierror"


@app.command()
def serve(config: Config = None) -> None:
    """Run the hub: FHIR at /fhir, its channels, its deliveries."""
    from hub.cli.serving import serve

    _end(serve(file(config)))


@app.command()
def worker(config: Config = None) -> None:
    """Run channels and deliveries without the FHIR interface; health and metrics only."""
    from hub.cli.serving import serve

    _end(serve(file(config), fhir=False))


@app.command()
def demo(
    once: Annotated[bool, typer.Option("--once", help="end when the prescription has arrived")] = False,
    as_json: AsJson = False,
    messages: Annotated[Path | None, typer.Option(help="send these HL7 v2 messages instead")] = None,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="port of the hub (0: 8080 or any free one)")
    ] = 0,
) -> None:
    """One prescription travels: three simulated systems, real protocols, one hub."""
    from hub.cli import demo
    from hub.cli.logs import configure

    configure("WARNING")
    _end(demo.run(once=once, as_json=as_json, file=messages, port=port))


@app.command()
def simulate(
    kind: Annotated[str, typer.Argument(help="kind of the adapter whose system is simulated")],
    options: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME=VALUE]...", help="options of the simulator")
    ] = None,
    listen: Annotated[str, typer.Option(help="host:port; port 0 takes a free one")] = "127.0.0.1:0",
    scene: Annotated[str, typer.Option(help="play this scene once and end")] = "",
    with_: Annotated[list[str] | None, typer.Option("--with", help="name=value for the scene")] = None,
    as_json: AsJson = False,
) -> None:
    """Run the simulator that an adapter ships."""
    from hub.cli.simulate import simulate

    _end(simulate(kind, options or [], listen, scene, with_ or [], as_json=as_json))


@app.command()
def doctor(config: Config = None, as_json: AsJson = False) -> None:
    """Check settings, plugins, mappings, database and ports."""
    from hub.cli.doctor import doctor

    _end(doctor(file(config), as_json=as_json))


@adapter.command("list")
def adapter_list(as_json: AsJson = False) -> None:
    """Installed adapters; a plugin that FAILED, and why. Exit 1 if one did."""
    from hub.cli.adapters import listing

    _end(listing(as_json=as_json))


@channel.command("list")
def channel_list(config: Config = None, as_json: AsJson = False) -> None:
    """Every channel with its state."""
    from hub.cli.desk import listing

    _end(listing(file(config), "channels", {}, as_json=as_json))


@channel.command("pause")
def channel_pause(
    name: Name,
    config: Config = None,
    reason: Annotated[str, typer.Option(help="shown in the listing")] = "paused by an operator",
    as_json: AsJson = False,
) -> None:
    """Stop receiving and delivering, also after a restart."""
    from hub.cli.desk import act

    _end(act(file(config), f"channels/{name}/pause", {"reason": reason}, as_json=as_json))


@channel.command("resume")
def channel_resume(name: Name, config: Config = None, as_json: AsJson = False) -> None:
    """Go on where it stopped."""
    from hub.cli.desk import act

    _end(act(file(config), f"channels/{name}/resume", None, as_json=as_json))


@message.command("list")
def message_list(
    config: Config = None,
    on: OnChannel = "",
    state: State = "",
    limit: Limit = 100,
    before: Before = 0,
    as_json: AsJson = False,
) -> None:
    """What came in, newest first: stored, invalid, conflict, duplicate, rejected, received, replayed."""
    from hub.cli.desk import listing

    query = {"channel": on, "state": state, "limit": limit, "before": before}
    _end(listing(file(config), "messages", query, as_json=as_json))


@message.command("show")
def message_show(id: RowId, config: Config = None, as_json: AsJson = False) -> None:
    """One message with its body, verbatim."""
    from hub.cli.desk import show

    _end(show(file(config), f"messages/{id}", as_json=as_json))


@message.command("replay")
def message_replay(id: RowId, config: Config = None, as_json: AsJson = False) -> None:
    """Map a kept message again. Exit 1 if it still cannot be stored."""
    from hub.cli.desk import act

    _end(act(file(config), f"messages/{id}/replay", None, as_json=as_json))


@conversation.command("list")
def conversation_list(
    config: Config = None, state: State = "", limit: Limit = 100, before: Before = 0, as_json: AsJson = False
) -> None:
    """Newest first: running, done, refused (the other system said no), waiting (for a person)."""
    from hub.cli.desk import listing

    query = {"state": state, "limit": limit, "before": before}
    _end(listing(file(config), "conversations", query, as_json=as_json))


@conversation.command("retry")
def conversation_retry(
    id: RowId,
    config: Config = None,
    sure: Annotated[
        bool, typer.Option("--sure", help="the unanswered step certainly had no effect: somebody looked")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Do anew, with fresh bytes, what a waiting or refused conversation stopped at."""
    from hub.cli.desk import act

    _end(act(file(config), f"conversations/{id}/retry", {"sure": sure}, as_json=as_json))


@dead_letter.command("list")
def dead_letter_list(
    config: Config = None, on: OnChannel = "", limit: Limit = 100, before: Before = 0, as_json: AsJson = False
) -> None:
    """Deliveries that wait for a person, newest first."""
    from hub.cli.desk import listing

    query = {"channel": on, "limit": limit, "before": before}
    _end(listing(file(config), "dead-letters", query, as_json=as_json))


@dead_letter.command("replay")
def dead_letter_replay(id: RowId, config: Config = None, as_json: AsJson = False) -> None:
    """Send it again, with the same bytes."""
    from hub.cli.desk import act

    _end(act(file(config), f"dead-letters/{id}/replay", None, as_json=as_json))


@mapping.command("run")
def map_run(
    name: Annotated[
        str, typer.Argument(metavar="MAPPING", help="folder/document, or a folder that chooses by kind")
    ],
    source: Annotated[
        Path, typer.Argument(metavar="FILE", help="the message, or a resource for an outbound one")
    ],
    config: Config = None,
    system: Annotated[str, typer.Option(help="channel the resource ids are derived for")] = "",
) -> None:
    """Map one message and print the resulting Bundle."""
    from hub.cli.maps import run

    _end(run(file(config), name, source, system))


@mapping.command("test")
def map_test(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[MAPPING]...", help="folders or documents")
    ] = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Compare every sample beside the mappings with its expected result."""
    from hub.cli.maps import test

    _end(test(file(config), names or [], as_json=as_json))


@conformance.command("run")
def conformance_run(
    target: Annotated[
        str, typer.Option(help="base URL of the FHIR server, such as http://127.0.0.1:8080/fhir")
    ],
    suite: Annotated[
        list[str] | None,
        typer.Option(help="only this TestScript: its id, a file or a folder; may be repeated"),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="write TestReports and junit.xml into this folder")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run TestScripts against a FHIR server. Exit 1 unless every test passed, 3 if it does not answer."""
    from hub.cli.conformance import run

    _end(run(target, suite or [], report, as_json=as_json))


def _end(code: int) -> None:
    if code:
        raise typer.Exit(code)
