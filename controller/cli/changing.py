"""The verbs that change the network: plan, apply, delete, rollback, watch; and backup, which changes nothing there.

Apply shows the plan first and sends the digest of what was shown: what a person approved is what happens. If the
world moves in between and nothing was approved by hand, it plans again.
"""

from __future__ import annotations

import getpass
import sys
import time
import uuid
from argparse import Namespace
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from onecity.v1 import controller_pb2 as pb
from onecity.v1 import history_pb2, plan_pb2

from controller.cli.arguments import FORMATS
from controller.cli.client import Client, LostError, MovedError, as_documents
from controller.cli.errors import CommandError, StoppedError
from controller.cli.plain import as_text, plain
from controller.cli.plans import disproved, interrupting, moving, refused, show_plan
from controller.cli.progress import ProgressView, ending
from controller.cli.quantities import count
from controller.cli.screen import Screen, harmless
from controller.cli.sources import SavedPlan, read_sources, save_plan, saved_plan

UNCHANGED, REFUSED = plan_pb2.CHANGE_OUTCOME_UNCHANGED, plan_pb2.CHANGE_OUTCOME_REFUSED
NO_CHANGE, ERROR, CHANGES = 0, 1, 2  # as Terraform's plan -detailed-exitcode
REPLANS = 3
LOST_FOR_S = 60.0  # a daemon that restarts is waited for


def plan(arguments: Namespace, screen: Screen) -> int:
    """Show what apply would do."""
    _output_of_plan(arguments.output)
    wanted = _wanted(arguments)
    with Client(arguments.server, arguments.timeout) as client:
        found = _planned(client, wanted, native=arguments.native)
    if arguments.output in FORMATS[1:]:
        screen.line(as_text(plain(found), arguments.output))
    else:
        show_plan(screen, found, details=arguments.details)
    if refused(found) or disproved(found):
        return ERROR
    if arguments.output not in FORMATS:
        save_plan(Path(arguments.output), replace(wanted, digest=found.digest))
        screen.line(f"Kept in {arguments.output}; make it so with `onecity apply {arguments.output}`.")
    return CHANGES if moving(found) else NO_CHANGE


def _output_of_plan(output: str) -> None:
    """Refuse what is probably a format written wrong: it would silently become a file."""
    if output not in FORMATS and "." not in output and "/" not in output:
        known = ", ".join(FORMATS)
        raise CommandError(f"-o {output}: is none of {known}; for a file of that name write ./{output}")


def apply(arguments: Namespace, screen: Screen) -> int:
    """Make the network as the intents say."""
    if len(arguments.files) > 1 and any(saved_plan((name,)) for name in arguments.files):
        raise CommandError("a saved plan goes alone: it holds the intents that it was made of")
    kept = saved_plan(arguments.files)
    wanted = kept or _wanted(arguments)

    def send(client: Client, digest: str) -> str:
        request = pb.ApplyRequest(
            documents=as_documents(wanted.sources),
            request_id=arguments.request_id or uuid.uuid4().hex,
            reason=arguments.reason,
            author=author(arguments),
            partial=arguments.partial,
            prune_label=wanted.prune_label,
            prune_tenant=wanted.prune_tenant,
            expected_digest=digest,
            objective=_objective(wanted),
        )
        return str(client.call(client.stub.Apply, request).change_id)

    with Client(arguments.server, arguments.timeout) as client:
        return _carry_out(client, arguments, screen, lambda: _planned(client, wanted), send, kept)


def delete(arguments: Namespace, screen: Screen) -> int:
    """Withdraw services."""
    with Client(arguments.server, arguments.timeout) as client:
        services = list(dict.fromkeys(arguments.services))

        def send(client: Client, digest: str) -> str:
            request = pb.DeleteRequest(
                services=services,
                request_id=arguments.request_id or uuid.uuid4().hex,
                reason=arguments.reason,
                author=author(arguments),
                expected_digest=digest,
            )
            return str(client.call(client.stub.Delete, request).change_id)

        def planned() -> plan_pb2.Plan:
            found: plan_pb2.Plan = client.call(client.stub.Plan, pb.PlanRequest(remove=services)).plan
            return found

        return _carry_out(client, arguments, screen, planned, send, None)


def rollback(arguments: Namespace, screen: Screen) -> int:
    """Undo one change, or everything after one."""
    if bool(arguments.revision) == bool(arguments.to):
        raise CommandError("name the revision to undo, or --to REV to return to one; `onecity history` lists them")
    asked = history_pb2.Rollback(change=arguments.revision or arguments.to, everything_after=bool(arguments.to))

    def send(client: Client, digest: str) -> str:
        request = pb.RollbackRequest(
            rollback=asked,
            request_id=arguments.request_id or uuid.uuid4().hex,
            reason=arguments.reason,
            author=author(arguments),
            expected_digest=digest,
        )
        return str(client.call(client.stub.Rollback, request).change_id)

    with Client(arguments.server, arguments.timeout) as client:

        def planned() -> plan_pb2.Plan:
            found: plan_pb2.Plan = client.call(client.stub.Plan, pb.PlanRequest(rollback=asked)).plan
            return found

        return _carry_out(client, arguments, screen, planned, send, None)


def backup(arguments: Namespace, screen: Screen) -> int:
    """Have the daemon write a copy of its store."""
    with Client(arguments.server, arguments.timeout) as client:
        done = client.call(client.stub.Backup, pb.BackupRequest(path=arguments.file))
    screen.line(f"{arguments.file}: {done.size_bytes:,} bytes. To go back to it, stop the daemon, then")
    screen.line(f"  onecity restore {arguments.file} --state STORE")
    return NO_CHANGE


def watch(arguments: Namespace, screen: Screen) -> int:
    """Follow a change to its end."""
    with Client(arguments.server, arguments.timeout) as client:
        return follow(client, arguments.change, arguments, beside(arguments, screen), patient=False)


def _carry_out(
    client: Client,
    arguments: Namespace,
    screen: Screen,
    planned: Callable[[], plan_pb2.Plan],
    send: Callable[[Client, str], str],
    kept: SavedPlan | None,
) -> int:
    """Plan, show, ask, send, follow."""
    screen = beside(arguments, screen)
    found = planned()
    partial = getattr(arguments, "partial", False)
    if kept is not None and kept.digest != found.digest and not moving(found) and not found.drifted:
        raise CommandError(f"{arguments.files[0]}: the network is as this plan says already; was it applied before?")
    show_plan(screen, found, details=arguments.details, partial=partial)
    if refused(found) and not partial:
        _document(arguments, "", _turned_away(found))
        raise CommandError(f"{count(len(refused(found)), 'service')} cannot be placed; nothing was applied")
    if disproved(found) and not partial:
        _document(arguments, "", _turned_away(found))
        raise CommandError("the configuration would not keep its promises; nothing was applied")
    if kept is not None and found.digest != kept.digest:
        raise CommandError(
            f"{arguments.files[0]}: the network or the intents moved since this plan was made; "
            "what is shown above is the new difference: plan again and look at it"
        )
    if len(moving(found)) == len(refused(found)):
        result = _turned_away(found) if refused(found) else plan_pb2.ChangeResult(outcome=UNCHANGED)
        _document(arguments, "", result)
        return ERROR if refused(found) else NO_CHANGE
    asked = _ask(arguments, screen, found)
    change_id = ""
    for attempt in range(REPLANS):
        try:
            change_id = send(client, found.digest)
            break
        except KeyboardInterrupt:
            raise StoppedError(
                "\nStopped while the change was handed over; `onecity history` says whether it was accepted."
            ) from None
        except MovedError:
            if asked or kept is not None or attempt == REPLANS - 1:
                raise
            found = planned()
            if interrupting(found) and not arguments.yes:
                raise
    if arguments.no_wait:
        if not _document(arguments, change_id, plan_pb2.ChangeResult()):
            screen.line(change_id)
        return NO_CHANGE
    shown = tuple(s.refusal for s in refused(found))
    return follow(client, change_id, arguments, screen, shown=shown)


def beside(arguments: Namespace, screen: Screen) -> Screen:
    """Return where people are told: beside the document, where a program asked for one."""
    return screen if arguments.output == "table" else Screen(sys.stderr)


def _document(arguments: Namespace, change_id: str, result: plan_pb2.ChangeResult) -> bool:
    """Write the end of a change as the one document on standard output, if that was asked for."""
    if arguments.output == "table":
        return False
    Screen().line(as_text({"change_id": change_id, **plain(result)}, arguments.output))
    return True


def _turned_away(found: plan_pb2.Plan) -> plan_pb2.ChangeResult:
    message = "\n".join([*(s.refusal for s in refused(found)), *(f"{p.name}: {p.detail}" for p in disproved(found))])
    return plan_pb2.ChangeResult(outcome=REFUSED, message=message, services=found.services)


def _ask(arguments: Namespace, screen: Screen, found: plan_pb2.Plan) -> bool:
    """Ask before traffic is interrupted, and only then. Return whether a person was asked."""
    hurt = interrupting(found)
    if not hurt or arguments.yes:
        return False
    if not sys.stdin.isatty():
        raise CommandError(
            f"this interrupts traffic of {count(len(hurt), 'service')} and there is nobody to ask; "
            "add --yes if that is meant. Nothing was applied"
        )
    screen.out.write(f"This interrupts traffic of {count(len(hurt), 'service')}. Go on? [y/N] ")
    screen.out.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise CommandError("stopped as you said; nothing was applied")
    return True


def follow(
    client: Client,
    change_id: str,
    arguments: Namespace,
    screen: Screen,
    *,
    patient: bool = True,
    shown: tuple[str, ...] = (),
) -> int:
    """Draw a change until it ends; a stream that breaks is taken up again, Ctrl-C leaves the change alone.

    patient: the daemon is known to be there, so silence means that it restarts.
    """
    view, lost_since = ProgressView(screen, change_id), None
    try:
        while True:
            try:
                for event in client.watch(change_id):
                    lost_since, patient = None, True
                    view.take(event)
                    if event.HasField("result"):
                        _document(arguments, change_id, event.result)
                        return _end(change_id, event.result, screen, shown)
                raise LostError(f"the daemon stopped to tell of change {change_id}")
            except LostError:
                if not patient:
                    raise
                if lost_since is None:
                    lost_since = time.monotonic()
                    screen.note("lost the daemon; waiting for it to come back …")
                if time.monotonic() - lost_since > LOST_FOR_S:
                    raise CommandError(
                        f"the daemon at {client.server} does not answer; change {change_id} ends as all or none by "
                        f"itself. Follow it with `onecity watch {change_id}` when the daemon is back"
                    ) from None
                time.sleep(0.5)
    except KeyboardInterrupt:
        raise StoppedError(
            f"\nChange {change_id} goes on without you looking. Re-attach with `onecity watch {change_id}`."
        ) from None


def _end(change_id: str, result: plan_pb2.ChangeResult, screen: Screen, shown: tuple[str, ...]) -> int:
    """Say how it ended; refusals that the plan has shown are not said again."""
    told = plan_pb2.ChangeResult()
    told.CopyFrom(result)
    for text in shown:
        told.message = told.message.replace(text, "").strip("\n")
    sentence, good = ending(change_id, told)
    for warning in result.warnings:
        screen.note(f"warning: {harmless(warning)}")
    if good:
        screen.line(sentence)
        return NO_CHANGE
    lines = [sentence]
    lines += dict.fromkeys(f"  {f.domain} ({f.stage}): {harmless(f.message)}" for f in result.failures)
    said = harmless(sentence)
    lines += [harmless(s.refusal) for s in result.services if s.refusal
              and s.refusal not in shown and harmless(s.refusal) not in said]  # fmt: skip
    raise CommandError("\n".join(lines))


def _planned(client: Client, wanted: SavedPlan, *, native: bool = False) -> plan_pb2.Plan:
    request = pb.PlanRequest(
        documents=as_documents(wanted.sources),
        prune_label=wanted.prune_label,
        prune_tenant=wanted.prune_tenant,
        native=native,
        objective=_objective(wanted),
    )
    found: plan_pb2.Plan = client.call(client.stub.Plan, request).plan
    return found


def _objective(wanted: SavedPlan) -> str:
    return f"OBJECTIVE_{wanted.objective.upper() or 'UNSPECIFIED'}"


def _wanted(arguments: Namespace) -> SavedPlan:
    if arguments.objective:
        if arguments.files or arguments.prune or getattr(arguments, "partial", False):
            raise CommandError("--objective moves what stands: leave out files, --prune and --partial")
        return SavedPlan("", (), objective=arguments.objective)
    if not arguments.files:
        verb = f"onecity {arguments.verb}"
        raise CommandError(f"the following arguments are required: FILE|DIR, or --objective; see `{verb} --help`")
    if arguments.prune and "=" not in arguments.label:
        raise CommandError("--prune removes by label: add -l KEY=VALUE")
    if arguments.label and not arguments.prune:
        raise CommandError("-l is for --prune here: add --prune, or leave it out")
    return SavedPlan("", read_sources(arguments.files), arguments.label, arguments.tenant if arguments.prune else "")


def author(arguments: Namespace) -> str:
    if arguments.author:
        return str(arguments.author)
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""
