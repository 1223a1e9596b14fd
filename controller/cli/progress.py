"""A change on its way: one line a domain, rewritten in place on a terminal, one line an event in a log."""

from __future__ import annotations

from onecity.v1 import controller_pb2, plan_pb2

from controller.cli.quantities import seconds
from controller.cli.screen import Screen, columns, harmless

BAD = ("cancelled", "failed", "compensated")
NEXT = {"connected": "preparing", "prepared": "committing", "committed": "verifying", "verified": "confirming"}
END = "confirmed"
MOST_NAMES = 4


class ProgressView:
    """Draws the events of one change. Events that were drawn before (after re-attaching) are not drawn again."""

    def __init__(self, screen: Screen, change_id: str) -> None:
        self._screen, self._change_id = screen, change_id
        self._seen = 0
        self._drawn = 0  # lines on the terminal that the next drawing replaces
        self._names = ""
        self._stages: dict[str, list[str]] = {}
        self._elapsed: dict[str, float] = {}
        self._whole = ""

    def take(self, event: controller_pb2.WatchChangeResponse) -> None:
        """Draw one event."""
        if event.sequence <= self._seen:
            return
        self._seen = event.sequence
        if event.services:
            listed = ", ".join(event.services[:MOST_NAMES])
            left = len(event.services) - MOST_NAMES
            self._names = listed + (f" and {left} more" if left > 0 else "")
        if not self._screen.terminal and (event.services or event.sequence == 1):
            self._screen.line(f"change {self._change_id}  {self._names}".rstrip())
        if event.HasField("progress"):
            self._progress(event.progress)

    def _progress(self, progress: plan_pb2.ChangeProgress) -> None:
        detail = harmless(progress.detail)
        if progress.domain:
            self._stages.setdefault(progress.domain, []).append(self._label(progress))
            self._elapsed[progress.domain] = progress.elapsed_s
        else:
            self._whole = f"{progress.stage} {detail}".rstrip()
        if self._screen.terminal:
            self._draw()
        else:
            step = f"{progress.step_name}: " if progress.step_name and progress.domain else ""
            row = [
                self._change_id,
                progress.domain or "–",
                f"{step}{progress.stage}",
                seconds(progress.elapsed_s),
                detail,
            ]
            self._screen.line("  ".join(cell for cell in row if cell))
            self._screen.out.flush()

    def _label(self, progress: plan_pb2.ChangeProgress) -> str:
        bad = progress.stage in BAD
        mark = self._screen.paint("✗", "red") if bad else self._screen.paint("✓", "green")
        detail = f" ({harmless(progress.detail)})" if bad and progress.detail else ""
        return f"{progress.stage} {mark}{detail}"

    def _draw(self) -> None:
        lines = [f"change {self._change_id}  {self._names}".rstrip()]
        rows = []
        for domain, stages in sorted(self._stages.items()):
            last = stages[-1].split(" ", 1)[0]
            under_way = f"  {NEXT[last]} …" if last in NEXT else ""
            rows.append([domain, "  ".join(stages[-4:]) + under_way, seconds(self._elapsed[domain])])
        lines += columns(rows, indent="  ") or [f"  {self._whole} …"]
        up = f"\x1b[{self._drawn}F\x1b[J" if self._drawn else ""
        self._screen.out.write(up + "".join(line + "\n" for line in lines))
        self._screen.out.flush()
        self._drawn = len(lines)


def ending(change_id: str, result: plan_pb2.ChangeResult) -> tuple[str, bool]:
    """Return the last sentence, and whether the change did what was asked."""
    took = f"in {seconds(result.elapsed_s)}" if result.elapsed_s else ""
    actions = [s.action for s in result.services]
    adds, changes, removes = (
        actions.count(a) for a in (plan_pb2.ACTION_CREATE, plan_pb2.ACTION_CHANGE, plan_pb2.ACTION_REMOVE)
    )
    done = f"{adds} added, {changes} changed, {removes} removed"
    if not actions and result.message:  # it is about something else than intents, and says so itself
        done = harmless(result.message)
    why = f"\n{harmless(result.message)}" if result.message and not result.failures else ""  # failures are listed
    unsent = bool(result.failures) and all(f.stage == "connect" for f in result.failures)
    undone = "failed; nothing was sent to the network" if unsent else "failed and was undone everywhere"
    sentences = {
        plan_pb2.CHANGE_OUTCOME_COMMITTED: f"Done: {done} {took}".rstrip() + ".",
        plan_pb2.CHANGE_OUTCOME_UNCHANGED: "Nothing to change: the network is as asked.",
        plan_pb2.CHANGE_OUTCOME_REFUSED: f"Change {change_id} was refused; nothing was sent to the network.{why}",
        plan_pb2.CHANGE_OUTCOME_FAILED: f"Change {change_id} {undone}.{why}",
        plan_pb2.CHANGE_OUTCOME_COMPENSATED: (
            f"Change {change_id} was put back after a domain refused it for good; the network is as before.{why}"
        ),
        plan_pb2.CHANGE_OUTCOME_IN_DOUBT: (
            f"Change {change_id} is decided, but a domain is unreachable; it is completed as soon as the domain "
            f"answers. Follow with `onecity watch {change_id}`.{why}"
        ),
        plan_pb2.CHANGE_OUTCOME_PARTIAL: f"Partly done: {done} {took}".rstrip() + f".{why}",
    }
    good = result.outcome in (plan_pb2.CHANGE_OUTCOME_COMMITTED, plan_pb2.CHANGE_OUTCOME_UNCHANGED)
    return sentences.get(result.outcome, f"Change {change_id} ended in a way that this version does not know."), good
