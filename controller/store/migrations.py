"""The schema, as numbered steps from an empty file to today's.

A step, once released, is never edited: a file that passed it must mean the same for ever. `schema_version`
keeps when each was applied. A file with a higher number was written by a newer program and is left alone.
"""

from __future__ import annotations

import sqlite3
import time

from controller.errors import StoreError

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        # Desired state: what each service is, where it goes and what that means for each domain.
        """CREATE TABLE services (
            id TEXT PRIMARY KEY, kind TEXT NOT NULL, generation INTEGER NOT NULL, revision INTEGER NOT NULL,
            record TEXT NOT NULL) WITHOUT ROWID""",
        # A change stays here with its plan while it runs; its effect on `services` is written when it ends.
        """CREATE TABLE changes (
            seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, request_id TEXT UNIQUE,
            outcome TEXT NOT NULL, record TEXT NOT NULL, pending TEXT)""",
        "CREATE INDEX changes_pending ON changes (seq) WHERE pending IS NOT NULL",
        """CREATE TABLE change_services (
            service TEXT NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (service, seq)) WITHOUT ROWID""",
        "CREATE TABLE topologies (domain TEXT PRIMARY KEY, at REAL NOT NULL, topology TEXT NOT NULL) WITHOUT ROWID",
        # The journal: one row of `transactions` per transaction, its records in order in `journal`.
        """CREATE TABLE transactions (
            seq INTEGER PRIMARY KEY AUTOINCREMENT, txn TEXT NOT NULL UNIQUE, ended INTEGER NOT NULL DEFAULT 0)""",
        "CREATE INDEX transactions_open ON transactions (seq) WHERE ended = 0",
        """CREATE TABLE journal (
            seq INTEGER PRIMARY KEY AUTOINCREMENT, txn TEXT NOT NULL, at REAL NOT NULL, kind TEXT NOT NULL,
            body TEXT NOT NULL)""",
        "CREATE INDEX journal_txn ON journal (txn, seq)",
    ),
    (
        # What a change did to each domain, compressed; beside the history, so that listing it stays light.
        """CREATE TABLE change_domains (
            change TEXT NOT NULL, domain TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (change, domain))""",
    ),
    (
        # Places that may run otherwise than desired, because somebody said so.
        """CREATE TABLE acceptances (
            domain TEXT NOT NULL, path TEXT NOT NULL, record TEXT NOT NULL,
            PRIMARY KEY (domain, path)) WITHOUT ROWID""",
    ),
    (
        # What was measured of services and links, by the hour, and when services were broken.
        """CREATE TABLE service_hours (
            service TEXT NOT NULL, hour INTEGER NOT NULL,
            ok_s REAL NOT NULL, violated_s REAL NOT NULL, down_s REAL NOT NULL, unknown_s REAL NOT NULL,
            delay_seen_s REAL NOT NULL, delay_over_s REAL NOT NULL, delay_sum REAL NOT NULL, delay_max REAL NOT NULL,
            jitter_seen_s REAL NOT NULL, jitter_over_s REAL NOT NULL, jitter_sum REAL NOT NULL,
            jitter_max REAL NOT NULL,
            loss_seen_s REAL NOT NULL, loss_over_s REAL NOT NULL, loss_sum REAL NOT NULL, loss_max REAL NOT NULL,
            PRIMARY KEY (service, hour)) WITHOUT ROWID""",
        """CREATE TABLE link_hours (
            link TEXT NOT NULL, hour INTEGER NOT NULL, looks REAL NOT NULL, rate_sum REAL NOT NULL,
            rate_max REAL NOT NULL, reserved_max REAL NOT NULL, capacity_max REAL NOT NULL,
            PRIMARY KEY (link, hour)) WITHOUT ROWID""",
        """CREATE TABLE outages (
            service TEXT NOT NULL, began REAL NOT NULL, ended REAL, state TEXT NOT NULL, reason TEXT NOT NULL,
            PRIMARY KEY (service, began)) WITHOUT ROWID""",
        "CREATE INDEX outages_open ON outages (service) WHERE ended IS NULL",
    ),
    (
        # Incidents outlive the daemon that saw them: reports name them years later.
        """CREATE TABLE incidents (
            id TEXT PRIMARY KEY, opened REAL NOT NULL, seen REAL NOT NULL, closed REAL, kind TEXT NOT NULL,
            root TEXT NOT NULL, title TEXT NOT NULL, severity TEXT NOT NULL, services TEXT NOT NULL) WITHOUT ROWID""",
        "CREATE INDEX incidents_opened ON incidents (opened)",
    ),
    (
        # All that is told of an incident, so that it is told after a restart too; and what services carried.
        "ALTER TABLE incidents ADD COLUMN story TEXT NOT NULL DEFAULT '{}'",
        "CREATE INDEX incidents_open ON incidents (opened) WHERE closed IS NULL",
        "ALTER TABLE service_hours ADD COLUMN rate_seen_s REAL NOT NULL DEFAULT 0",
        "ALTER TABLE service_hours ADD COLUMN rate_sum REAL NOT NULL DEFAULT 0",
        "ALTER TABLE service_hours ADD COLUMN rate_max REAL NOT NULL DEFAULT 0",
    ),
    (
        # What each party of an assured conference had; the columns of service_hours, under "tenant/name#party".
        "CREATE TABLE party_hours AS SELECT * FROM service_hours WHERE 0",
        "CREATE UNIQUE INDEX party_hours_key ON party_hours (service, hour)",
    ),
)


def migrate(connection: sqlite3.Connection, migrations: tuple[tuple[str, ...], ...] = MIGRATIONS) -> None:
    """Bring the file to the last schema, each step whole or not at all. Raises StoreError for a newer file."""
    connection.execute(
        "CREATE TABLE IF NOT EXISTS schema_version (version INTEGER PRIMARY KEY, applied_at REAL NOT NULL)"
    )
    (version,) = connection.execute("SELECT coalesce(max(version), 0) FROM schema_version").fetchone()
    if version > len(migrations):
        raise StoreError(
            f"the store has schema {version}, this onecity knows {len(migrations)}: "
            "run the newer onecity that wrote it, or restore a backup made before the upgrade"
        )
    for number, statements in enumerate(migrations[version:], start=version + 1):
        connection.execute("BEGIN IMMEDIATE")
        try:
            for statement in statements:
                connection.execute(statement)
            connection.execute("INSERT INTO schema_version VALUES (?, ?)", (number, time.time()))
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
